/* registers.h - what this port uses of an ESP32's peripherals (ESP32 Technical Reference Manual).
 */
#ifndef ESP32_BARE_REGISTERS_H
#define ESP32_BARE_REGISTERS_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* UART0, which the ROM leaves at 115200 8N1 on the pins that every board's USB bridge is at. */
#define UART_FIFO REGISTER(0x3FF40000u)
#define UART_CLKDIV REGISTER(0x3FF40014u) /* APB clock / baud: 20 bits, then 4 of sixteenths */
#define UART_STATUS REGISTER(0x3FF4001Cu)
#define UART_RECEIVED(status) ((status)&0xFFu)
#define UART_TO_SEND(status) ((status) >> 16 & 0xFFu)
#define UART_SENDING(status) ((status) >> 24 & 0xFu) /* the transmitter's state; 0: idle */
#define UART_FIFO_ROOM 126u

/* Watchdogs: one in the RTC, one in each timer group. Their registers take writes only while the
 * key is in place. */
#define WATCHDOG_KEY 0x50D83AA1u
#define RTC_WDT_CONFIG REGISTER(0x3FF4808Cu)
#define RTC_WDT_PROTECT REGISTER(0x3FF480A4u)
#define TIMG0_WDT_CONFIG REGISTER(0x3FF5F048u)
#define TIMG0_WDT_PROTECT REGISTER(0x3FF5F064u)
#define TIMG1_WDT_CONFIG REGISTER(0x3FF60048u)
#define TIMG1_WDT_PROTECT REGISTER(0x3FF60064u)

/* RTC controller */
#define RTC_OPTIONS0 REGISTER(0x3FF48000u)
#define RTC_BB_I2C_OFF (1u << 6)
#define RTC_BBPLL_I2C_OFF (1u << 8)
#define RTC_BBPLL_OFF (1u << 10)
#define RTC_BIAS_I2C_OFF (1u << 18)
#define RTC_RESET (1u << 31)
#define RTC_CLK_CONF REGISTER(0x3FF48070u)
#define RTC_CLK_SOURCE_MASK (3u << 27)
#define RTC_CLK_SOURCE_PLL (1u << 27)
#define RTC_REG REGISTER(0x3FF4807Cu)
#define RTC_DBIAS_MASK (7u << 11)
#define RTC_DBIAS_1V25 (7u << 11)

/* Core clock from the PLL: 2 is 240 MHz. Ticks of 1 MHz from the APB clock: MHz - 1. */
#define CPU_PERIOD REGISTER(0x3FF0003Cu)
#define CPU_PERIOD_240 2u
#define PLL_TICK REGISTER(0x3FF66008u)

/* The PRO core's flash cache, and its table of 64 KB pages: an entry is a page of the flash. The
 * first 64 entries are the data window at DROM_BASE. */
#define CACHE_CTRL REGISTER(0x3FF00040u)
#define CACHE_ON (1u << 3)
#define CACHE_FLUSH (1u << 4)
#define CACHE_FLUSHED (1u << 5)
#define CACHE_MASK REGISTER(0x3FF00044u)
#define CACHE_MASK_DROM (1u << 4)
#define CACHE_PAGE(entry) REGISTER(0x3FF10000u + 4u * (entry))
#define CACHE_PAGES 64u
#define CACHE_NO_PAGE 0x100u

#endif
