/* registers.h - the nRF51's registers that the port touches (nRF51 Series Reference Manual). */
#ifndef MICROBIT_REGISTERS_H
#define MICROBIT_REGISTERS_H

#include "cortex_m/core.h"

/* UART */
#define UART(offset) REGISTER(0x40002000u + (offset))
#define UART_STARTRX UART(0x000u)
#define UART_STARTTX UART(0x008u)
#define UART_RXDRDY UART(0x108u) /* a byte has come; cleared before it is taken */
#define UART_TXDRDY UART(0x11Cu) /* a byte has gone */
#define UART_INTENSET UART(0x304u)
#define UART_INT_RXDRDY BIT(2)
#define UART_ENABLE UART(0x500u)
#define UART_ENABLED 4u
#define UART_RXD UART(0x518u)
#define UART_TXD UART(0x51Cu)
#define UART_INTERRUPT 2u

/* TIMER0, the only one of 32 bits */
#define TIMER(offset) REGISTER(0x40008000u + (offset))
#define TIMER_START TIMER(0x000u)
#define TIMER_STOP TIMER(0x004u)
#define TIMER_CLEAR TIMER(0x00Cu)
#define TIMER_CAPTURE TIMER(0x040u)
#define TIMER_BITMODE TIMER(0x508u)
#define TIMER_32_BITS 3u
#define TIMER_PRESCALER TIMER(0x510u) /* 16 MHz / 2^n */
#define TIMER_CAPTURED TIMER(0x540u)

/* The flash's controller */
#define NVMC(offset) REGISTER(0x4001E000u + (offset))
#define NVMC_READY NVMC(0x400u)
#define NVMC_CONFIG NVMC(0x504u)
#define NVMC_READ 0u
#define NVMC_WRITE 1u
#define NVMC_ERASE 2u
#define NVMC_ERASEPAGE NVMC(0x508u) /* its address */

#endif
