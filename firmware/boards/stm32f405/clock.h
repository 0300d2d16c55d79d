/* clock.h - the clocks of the STM32F405. */
#ifndef STM32F405_CLOCK_H
#define STM32F405_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* The crystal of the board in Hz: 8000000, 12000000, 25000000, … or 0 for none, which every board
 * runs with: the PLL then takes the internal 16 MHz (1 % exact, enough for the serial line). */
#ifndef NANO_HSE_HZ
#define NANO_HSE_HZ 0
#endif

typedef struct {
    uint32_t core;  /* Hz; 0 on an emulator, whose instructions take no real time */
    uint32_t apb2;  /* Hz, of USART1 */
    uint32_t timer; /* Hz, of TIM2, TIM3 and TIM5 */
} clock_rates;

/* Start the PLL: 168 MHz core. Every wait is bounded: without the crystal or the PLL the internal
 * 16 MHz stay on. */
clock_rates clock_start(void);

/* What clock_start() answered; board.c keeps it. */
clock_rates clock_now(void);

#endif
