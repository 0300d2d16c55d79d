/* boards/xtensa_sim - the port for QEMU's lx60 board with an LX106 core (ESP8266's). No such board
 * was ever made: this one exists to run Xtensa code without hardware, and to count its
 * instructions.
 *
 *     qemu-system-xtensa -M lx60 -cpu lx106 -icount shift=5,sleep=off -serial pty -kernel ELF
 *
 * Ticks are executed instructions, exactly. One takes 32 virtual ns then, and CCOUNT runs at the
 * emulated 40 MHz: after i instructions it holds c = floor(i * 32 / 25). One more instruction is
 * always one more count, so i = ceil(c * 25 / 32) is the only number that gives c. */
#include "board.h"

#include "core.h"

#define UART_BASE 0xFD050020u
#define UART_STRIDE 4
#include "common/uart16550.h"

/* The UART's line is the core's external interrupt 0. */
#define UART_INTERRUPT 1u

#define FPGA_RESET (*(volatile uint32_t *)0xFD020010u)
#define FPGA_RESET_NOW 0xDEADu

#define COUNT_MHZ 40u
#define TICK_HZ 31250000u /* 1 / 32 ns */

/* Executed in the 2^32 counts after which CCOUNT starts over. */
#define TICKS_A_WRAP (UINT32_C(25) << 27)

extern const uint8_t __image_start[], __image_end[]; /* from link.ld */

static struct {
    uint32_t count;        /* CCOUNT when it was last read for ticks */
    uint32_t wrapped;      /* ticks of its wraps, modulo 2^32 */
    uint32_t micros_count; /* CCOUNT when `micros` was right */
    uint32_t micros;
} clock;

void board_init(int argc, char *argv[]) {
    (void)argc;
    (void)argv;
    clock.count = clock.micros_count = core_ccount();
    uart_start();
}

const char *board_name(void) {
    return "xtensa_sim";
}

/* An emulated core has no clock. */
uint32_t board_core_hz(void) {
    return 0;
}

/* Sleep until the line has something: an emulated core that polls would keep one of the host's
 * busy. A byte that comes after the last look is a pending interrupt, which `waiti` takes at once;
 * its handler (vectors.S) masks it again and returns here. */
int board_getc(void) {
    for (;;) {
        uint32_t old;
        __asm__ volatile("rsil %0, 15" : "=a"(old)::"memory");
        if (uart_received())
            return uart_take();
        __asm__ volatile("wsr.intenable %0\n\trsync\n\twaiti 0" ::"a"(UART_INTERRUPT) : "memory");
    }
}

void board_putc(uint8_t byte) {
    uart_send(byte);
}

void board_flush(void) {
    uart_drain();
}

/* Exact if asked at least once in 3.3e9 instructions, which the emulator needs a minute for. */
uint32_t board_ticks(void) {
    const uint32_t count = core_ccount();
    clock.wrapped += TICKS_A_WRAP & (0u - (uint32_t)(count < clock.count));
    clock.count = count;
    /* ceil(c * 25 / 32) = c - floor(c * 7 / 32) */
    return clock.wrapped + count - 7u * (count >> 5) - (7u * (count & 31u) >> 5);
}

const char *board_tick_source(void) {
    return "icount";
}

uint32_t board_tick_hz(void) {
    return TICK_HZ;
}

uint32_t board_micros(void) {
    const uint32_t passed = (core_ccount() - clock.micros_count) / COUNT_MHZ;
    clock.micros += passed;
    clock.micros_count += passed * COUNT_MHZ;
    return clock.micros;
}

void board_image(const uint8_t **start, uint32_t *size) {
    *start = __image_start;
    *size = (uint32_t)(__image_end - __image_start);
}

/* QEMU loads the image anew. */
void board_reset(void) {
    FPGA_RESET = FPGA_RESET_NOW;
    for (;;) {
    }
}
