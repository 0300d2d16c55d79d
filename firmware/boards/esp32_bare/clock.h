/* clock.h - the core's clock.
 *
 * NANO_CPU_MHZ   40 (default): the crystal, as the ROM leaves it. 240: from the PLL; UNTRIED, no
 *                board has run it, and no emulator has this PLL. Only for the 40 MHz crystal. */
#ifndef ESP32_BARE_CLOCK_H
#define ESP32_BARE_CLOCK_H

#include <stdint.h>

#ifndef NANO_CPU_MHZ
#define NANO_CPU_MHZ 40
#endif

#if NANO_CPU_MHZ != 40 && NANO_CPU_MHZ != 240
#error "NANO_CPU_MHZ must be 40 or 240"
#endif

/* Bring the core to NANO_CPU_MHZ, and keep the line at its baud rate. Called once. */
void clock_start(void);

/* UART_CLKDIV for `baud` bits a second: less than the clock by 16 at least. */
uint32_t clock_uart(uint32_t baud);

/* Of the UART. */
#define CLOCK_APB_HZ (NANO_CPU_MHZ == 240 ? 80000000u : 40000000u)
#define CLOCK_BAUD 115200u /* of the start */

#endif
