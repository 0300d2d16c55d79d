/* machine.h - QEMU's mps3-an547: a Cortex-M55 (Arm DAI 0547). It starts in the Secure state and
 * stays there. */
#ifndef MPS3_AN547_MACHINE_H
#define MPS3_AN547_MACHINE_H

#define MACHINE_NAME "mps3_an547"

#define UART_BASE 0x49303000u
#define UART_INTERRUPT 33u /* UART0 has received */

#define WATCHDOG_BASE 0x5802E000u

#define FPGAIO_BASE 0x49302000u
#define FPGAIO_MHZ 20u

#endif
