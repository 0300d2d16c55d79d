/* clock.c - from the crystal's 40 MHz to the PLL's 240. UNTRIED: written from the ESP32 Technical
 * Reference Manual and the order in which ESP-IDF's rtc_clk.c does it. */
#include "clock.h"

#include "core.h"
#include "registers.h"

uint32_t clock_uart(uint32_t baud) {
    const uint32_t sixteenths = 16u * (CLOCK_APB_HZ / baud) + 16u * (CLOCK_APB_HZ % baud) / baud;
    return sixteenths >> 4 | (sixteenths & 15u) << 20;
}

#if NANO_CPU_MHZ == 40

void clock_start(void) {
}

#else

#define CRYSTAL_MHZ 40u

/* The PLL is set over an internal I2C bus that only the ROM knows how to use (entry.S). */
void rom_i2c_write(uint32_t block, uint32_t host, uint32_t address, uint32_t value);

#define PLL_BLOCK 0x66u
#define PLL_HOST 4u

/* Register of the PLL, and its value for 480 MHz from a 40 MHz crystal. */
static const struct {
    uint8_t address, value;
} pll_reset[] = {{0, 0x18}, {1, 0x20}, {4, 0x9A}, {10, 0x00}, {12, 0x00}},
  pll_480[] = {{11, 0xC3}, {9, 0x74}, {2, 0x00}, {3, 28}, {5, 3u << 6 | 6u}};

static void wait_micros(uint32_t micros) {
    const uint32_t begin = core_ccount();
    while (core_ccount() - begin < micros * CRYSTAL_MHZ) {
    }
}

void clock_start(void) {
    while (UART_TO_SEND(UART_STATUS) != 0 || UART_SENDING(UART_STATUS) != 0) {
    } /* what the ROM says goes out at its clock */
    RTC_OPTIONS0 &= ~(RTC_BIAS_I2C_OFF | RTC_BB_I2C_OFF | RTC_BBPLL_I2C_OFF | RTC_BBPLL_OFF);
    for (unsigned i = 0; i < sizeof pll_reset / sizeof *pll_reset; i++)
        rom_i2c_write(PLL_BLOCK, PLL_HOST, pll_reset[i].address, pll_reset[i].value);
    wait_micros(100);
    RTC_REG = (RTC_REG & ~RTC_DBIAS_MASK) | RTC_DBIAS_1V25; /* more voltage before more speed */
    wait_micros(10);
    for (unsigned i = 0; i < sizeof pll_480 / sizeof *pll_480; i++)
        rom_i2c_write(PLL_BLOCK, PLL_HOST, pll_480[i].address, pll_480[i].value);
    wait_micros(200); /* until it is locked: 160 at most */
    CPU_PERIOD = CPU_PERIOD_240;
    PLL_TICK = CLOCK_APB_HZ / 1000000u - 1u;
    RTC_CLK_CONF = (RTC_CLK_CONF & ~RTC_CLK_SOURCE_MASK) | RTC_CLK_SOURCE_PLL;
    wait_micros(200);
    /* The APB clock went from the crystal's 40 MHz to 80 MHz, and the UART with it. */
    UART_CLKDIV = clock_uart(CLOCK_BAUD);
}

#endif
