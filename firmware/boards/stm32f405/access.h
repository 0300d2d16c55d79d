/* access.h - how flash.c reaches registers and flash. Apart from it, so that a test on a PC can put
 * a model of the controller in its place. */
#ifndef STM32F405_ACCESS_H
#define STM32F405_ACCESS_H

#include <stdint.h>

static inline uint32_t word_read(uint32_t address) {
    return *(const volatile uint32_t *)address;
}

static inline void word_write(uint32_t address, uint32_t value) {
    *(volatile uint32_t *)address = value;
    __asm__ volatile("dsb" ::: "memory");
}

#endif
