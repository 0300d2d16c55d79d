/* controller.h - a model of the STM32F4's flash controller (ST RM0090, chapter 3), in the place of
 * boards/stm32f405/access.h. It holds the first CONTROLLER_WORDS words of sector 10.
 *
 * What the manual forbids is counted as a violation, and has no effect. */
#ifndef STM32F405_ACCESS_H
#define STM32F405_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#define CONTROLLER_SECTOR 10u
#define CONTROLLER_BASE 0x080C0000u
#define CONTROLLER_WORDS 256u

typedef struct {
    uint32_t flash[CONTROLLER_WORDS]; /* what is in the cells */
    uint32_t cache[CONTROLLER_WORDS]; /* what is read while the caches are on */
    uint32_t control, status, access;
    unsigned keys;     /* of the two that have come in order */
    bool shut;         /* a wrong key came: locked until the reset */
    unsigned busy;     /* looks at the status until the operation ends */
    unsigned slowness; /* looks that an operation takes; UINT32_MAX: it never ends */
    uint32_t fails_at; /* word whose programming is refused, as a protected one; else none */
    uint32_t stuck_at; /* word of which bit 0 stays 1 when programmed, 0 when erased; else none */
    unsigned violations, erased, programmed;
    bool absent; /* there is none: all reads 0, writes are lost, as in QEMU */
} controller_state;

extern controller_state controller;

/* After power-on: locked, caches on, and every cell 0. */
void controller_reset(void);

uint32_t word_read(uint32_t address);
void word_write(uint32_t address, uint32_t value);

#endif
