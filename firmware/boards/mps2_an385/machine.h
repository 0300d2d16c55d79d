/* machine.h - QEMU's mps2-an385: a Cortex-M3 (Arm DAI 0385). */
#ifndef MPS2_AN385_MACHINE_H
#define MPS2_AN385_MACHINE_H

#define MACHINE_NAME "mps2_an385"

#define UART_BASE 0x40004000u
#define UART_INTERRUPT 0u /* UART0 has received */

#define WATCHDOG_BASE 0x40008000u

#define FPGAIO_BASE 0x40028000u
#define FPGAIO_MHZ 25u

#endif
