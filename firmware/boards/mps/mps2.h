/* mps2.h - addresses that every MPS2 image with a Cortex-M3, M4 or M7 has (Arm DAI 0385, 0386). */
#ifndef MPS_MPS2_H
#define MPS_MPS2_H

#define UART_BASE 0x40004000u
#define UART_INTERRUPT 0u /* UART0 has received */

#define WATCHDOG_BASE 0x40008000u

#define FPGAIO_BASE 0x40028000u
#define FPGAIO_MHZ 25u

#endif
