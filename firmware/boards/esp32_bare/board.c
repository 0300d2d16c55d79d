/* boards/esp32_bare - the port for a bare ESP32: no ESP-IDF, no boot loader, one core. The ROM
 * loads the image from the flash at 0x1000 and jumps to entry.S.
 *
 * Line: UART0 as the ROM leaves it, 115200 8N1. Ticks: CCOUNT, the core's cycles. Weights are in
 * DRAM, or stay in the flash and are read through the cache (link.ld). */
#include "board.h"

#include "clock.h"
#include "core.h"
#include "registers.h"

/* From link.ld, in the shape of addresses: pages of weights in the flash, and the first one. */
extern const uint8_t __weights_pages[], __weights_page[];

static struct {
    uint32_t count; /* CCOUNT when `micros` was right */
    uint32_t micros;
} clock;

static void stop_watchdogs(void) {
    RTC_WDT_PROTECT = WATCHDOG_KEY;
    RTC_WDT_CONFIG = 0;
    RTC_WDT_PROTECT = 0;
    TIMG0_WDT_PROTECT = WATCHDOG_KEY;
    TIMG0_WDT_CONFIG = 0;
    TIMG0_WDT_PROTECT = 0;
    TIMG1_WDT_PROTECT = WATCHDOG_KEY;
    TIMG1_WDT_CONFIG = 0;
    TIMG1_WDT_PROTECT = 0;
}

/* Have the flash's pages of weights at the start of the data window, and nothing behind them. */
static void map_weights(void) {
    const uint32_t pages = (uint32_t)(uintptr_t)__weights_pages;
    if (pages == 0)
        return;
    CACHE_CTRL &= ~CACHE_ON;
    for (uint32_t i = 0; i < CACHE_PAGES; i++)
        CACHE_PAGE(i) = i < pages ? (uint32_t)(uintptr_t)__weights_page + i : CACHE_NO_PAGE;
    CACHE_MASK &= ~CACHE_MASK_DROM;
    CACHE_CTRL &= ~CACHE_FLUSH;
    CACHE_CTRL |= CACHE_FLUSH;
    for (uint32_t patience = 100000; patience > 0; patience--) {
        if ((CACHE_CTRL & CACHE_FLUSHED) != 0)
            break;
    }
    CACHE_CTRL &= ~CACHE_FLUSH;
    CACHE_CTRL |= CACHE_ON;
}

void board_init(int argc, char *argv[]) {
    (void)argc;
    (void)argv;
    stop_watchdogs();
    clock_start();
    map_weights();
    clock.count = core_ccount();
}

const char *board_name(void) {
    return "esp32";
}

uint32_t board_core_hz(void) {
    return NANO_CPU_MHZ * 1000000u;
}

int board_getc(void) {
    while (UART_RECEIVED(UART_STATUS) == 0) {
    }
    return (int)(UART_FIFO & 0xFFu);
}

void board_putc(uint8_t byte) {
    while (UART_TO_SEND(UART_STATUS) >= UART_FIFO_ROOM) {
    }
    UART_FIFO = byte;
}

void board_flush(void) {
    for (;;) {
        const uint32_t status = UART_STATUS;
        if (UART_TO_SEND(status) == 0 && UART_SENDING(status) == 0)
            return;
    }
}

/* With sixteenths of a clock every rate up to a sixteenth of it is near enough. */
bool board_baud(uint32_t baud, bool set) {
    const uint32_t rate = baud == 0 ? CLOCK_BAUD : baud;
    if (rate < 1200 || rate > CLOCK_APB_HZ / 16u)
        return false;
    if (set)
        UART_CLKDIV = clock_uart(rate);
    return true;
}

uint32_t board_ticks(void) {
    return core_ccount();
}

const char *board_tick_source(void) {
    return "ccount";
}

uint32_t board_tick_hz(void) {
    return board_core_hz();
}

/* Right if asked once in 2^32 cycles: 107 s at 40 MHz, 17 s at 240. */
uint32_t board_micros(void) {
    const uint32_t passed = (core_ccount() - clock.count) / NANO_CPU_MHZ;
    clock.micros += passed;
    clock.count += passed * NANO_CPU_MHZ;
    return clock.micros;
}

/* Code is in IRAM, which has no bytes, only words. */
void board_image(const uint8_t **start, uint32_t *size) {
    *start = (const uint8_t *)0;
    *size = 0;
}

/* The ROM loads the image anew. */
void board_reset(void) {
    RTC_OPTIONS0 |= RTC_RESET;
    for (;;) {
    }
}
