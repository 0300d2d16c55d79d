/* machine.h - lx60 without an MMU, with the core de212, which has the MAC16 and the loops of an
 * ESP32's LX6 (and not its MULSH):
 *
 *     qemu-system-xtensa -M lx60-nommu -cpu de212 -singlestep -icount shift=5,sleep=off \
 *         -serial pty -kernel ELF
 *
 * QEMU keeps MAC16's registers twice; with a block of one instruction each is read as it was
 * written
 * (-singlestep). */
#ifndef XTENSA_LX6_MACHINE_H
#define XTENSA_LX6_MACHINE_H

#define BOARD_NAME "xtensa_lx6"
#define IO_BASE 0x90000000u

#endif
