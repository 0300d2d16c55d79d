/* machine.h - QEMU's mps2-an505: a Cortex-M33 with DSP instructions and FPU (Arm DAI 0505). It
 * starts in the Secure state and stays there. */
#ifndef MPS2_AN505_MACHINE_H
#define MPS2_AN505_MACHINE_H

#define MACHINE_NAME "mps2_an505"

#define UART_BASE 0x50200000u
#define UART_INTERRUPT 32u /* UART0 has received */

#define WATCHDOG_BASE 0x5002E000u

#define FPGAIO_BASE 0x50302000u
#define FPGAIO_MHZ 20u

#endif
