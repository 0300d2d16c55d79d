/* machine.h - lx60 with the LX106 core:
 *
 *     qemu-system-xtensa -M lx60 -cpu lx106 -icount shift=5,sleep=off -serial pty -kernel ELF */
#ifndef XTENSA_SIM_MACHINE_H
#define XTENSA_SIM_MACHINE_H

#define BOARD_NAME "xtensa_sim"
#define IO_BASE 0xF0000000u

#endif
