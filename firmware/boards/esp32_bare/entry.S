/* entry.S - the first instructions after the ROM, and a call back into it. */

#include "core.h"

/* Debian's assembler is configured for a core without register windows: their registers and calls
 * are given as bytes (Xtensa ISA reference, chapter 6). */
    .macro  wsr_windowbase_a2
    .byte   0x20, 72, 0x13
    .endm
    .macro  wsr_windowstart_a2
    .byte   0x20, 73, 0x13
    .endm
    .macro  callx8_a8
    .byte   0xE0, 0x08, 0x00
    .endm

#define PS_WOE 0x40000 /* windows on */
#ifndef ROM_I2C_WRITE
#define ROM_I2C_WRITE 0x400041A4 /* a test has its own */
#endif

/* The ROM calls with register windows on. From here on there is one window, and no ROM below it. */
    .section .text.entry, "ax"
    .literal_position
    .align  4
    .global entry
    .type   entry, @function
entry:
    movi    a2, PS_START
    wsr.ps  a2
    rsync
    movi    a2, 0
    wsr.intenable a2
    wsr_windowbase_a2
    rsync
    movi    a2, 1
    wsr_windowstart_a2
    rsync
    movi    a2, vectors
    wsr.vecbase a2
    movi    a1, __stack_top
    movi    a0, startup
    callx0  a0

/* void rom_i2c_write(uint32_t block, uint32_t host, uint32_t address, uint32_t value);
 *
 * The ROM's function has the windowed ABI: its arguments are in a10 and up, a8 to a15 are its own,
 * and windows must be on. It calls nothing deep, so that no window ever spills. */
    .section .text.rom_i2c_write, "ax"
    .literal_position
    .align  4
    .global rom_i2c_write
    .type   rom_i2c_write, @function
rom_i2c_write:
    addi    a1, a1, -32
    s32i    a0, a1, 0
    s32i    a12, a1, 4
    s32i    a13, a1, 8
    s32i    a14, a1, 12
    s32i    a15, a1, 16
    rsr.ps  a6
    movi    a7, PS_WOE
    or      a7, a6, a7
    wsr.ps  a7
    rsync
    mov     a10, a2
    mov     a11, a3
    mov     a12, a4
    mov     a13, a5
    movi    a8, ROM_I2C_WRITE
    callx8_a8
    wsr.ps  a6
    rsync
    l32i    a0, a1, 0
    l32i    a12, a1, 4
    l32i    a13, a1, 8
    l32i    a14, a1, 12
    l32i    a15, a1, 16
    addi    a1, a1, 32
    ret

/* What the ROM loads into DRAM, constants included, is in the section .data. Without anything of
 * it written to, that would be a read-only section, and nobody would count it as RAM. */
    .section .data.writable, "aw"
    .word   0
