/* entry.S - the first instructions, and what follows an exception. */

    .option arch, +zicsr
    .section .text.entry, "ax"
    .global entry
    .type   entry, @function
entry:
    la      t0, exception
    csrw    mtvec, t0
    la      sp, __stack_top
    j       startup

/* No interrupt is ever taken, so this is a fault. One within another, while the first is being
 * told: then only start over. */
    .align  2
exception:
    la      t0, hopeless
    csrw    mtvec, t0
    la      sp, __stack_top
    csrr    a0, mcause
    csrr    a1, mepc
    csrr    a2, mtval
    j       startup_fault

    .align  2
hopeless:
    la      sp, __stack_top
    j       board_reset
