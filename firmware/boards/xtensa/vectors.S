/* vectors.S - exceptions of an Xtensa core that runs call0 code.
 *
 * The board's vectors.h says how far the vectors lie behind VECBASE:
 *
 *     VECTOR_KERNEL, VECTOR_USER   an exception, by PS.UM
 *     VECTOR_DOUBLE                one within another: while a fault is being told
 *
 * An interrupt only ends a wait: it is masked again, and nothing else happens. Anything else is a
 * fault: told on the line from a fresh stack, then the board starts over. */

#include "core.h"
#include "vectors.h"

    .section .vectors, "ax"
    .balign 1024
    .global vectors
vectors:
    .org vectors + VECTOR_KERNEL
    wsr.excsave1 a0
    j       exception
    .org vectors + VECTOR_USER
    wsr.excsave1 a0
    j       exception
    .org vectors + VECTOR_DOUBLE
    j       hopeless

    .section .text.exception, "ax"
    .literal_position
    .align  4
exception:
    rsr.exccause a0
    bnei    a0, CAUSE_INTERRUPT, fault
    movi    a0, 0
    wsr.intenable a0
    rsr.excsave1 a0
    rfe

    .align  4
fault:
    movi    a1, __stack_top
    rsr.exccause a2
    rsr.epc1 a3
    rsr.excvaddr a4
    movi    a0, startup_fault
    callx0  a0

    .align  4
hopeless:
    movi    a1, __stack_top
    movi    a0, board_reset
    callx0  a0
