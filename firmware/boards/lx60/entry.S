/* entry.S - the first instructions: QEMU jumps here, with the image in its place. */

#include "core.h"

    .section .text.entry, "ax"
    .literal_position
    .align  4
    .global entry
    .type   entry, @function
entry:
    movi    a2, PS_START
    wsr.ps  a2
    rsync
    movi    a2, vectors
    wsr.vecbase a2
    movi    a1, __stack_top
    movi    a0, startup
    callx0  a0
