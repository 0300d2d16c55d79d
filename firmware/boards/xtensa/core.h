/* core.h - special registers of an Xtensa core, and what their values mean (Xtensa ISA reference,
 * chapters 4 and 5). Included by C and by assembly. */
#ifndef XTENSA_CORE_H
#define XTENSA_CORE_H

/* PS: no windows, exceptions to the user vector, no interrupt taken below level 15. */
#define PS_START 0x2F

/* EXCCAUSE */
#define CAUSE_INTERRUPT 4

#ifndef __ASSEMBLER__

#include <stdint.h>

/* Core cycles; an emulator's count of its virtual nanoseconds. */
static inline uint32_t core_ccount(void) {
    uint32_t count;
    __asm__ volatile("rsr.ccount %0" : "=a"(count));
    return count;
}

#endif

#endif
