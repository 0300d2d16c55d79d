/* uart16550.h - the registers of an emulated 16550 UART, which needs no baud rate.
 *
 * The board defines UART_BASE, its address, and UART_STRIDE, the bytes from one register to the
 * next: 1 (bytes) or 4 (words). Included once, by board.c: board_putc() and board_flush() are here.
 */
#ifndef COMMON_UART16550_H
#define COMMON_UART16550_H

#include <stdbool.h>
#include <stdint.h>

#include "board.h"

#if UART_STRIDE == 4
typedef volatile uint32_t uart_register;
#else
typedef volatile uint8_t uart_register;
#endif

#define UART(index) (*(uart_register *)(UART_BASE + UART_STRIDE * (index)))
#define UART_DATA UART(0u)
#define UART_IER UART(1u) /* bit 0: interrupt while a byte waits */
#define UART_FCR UART(2u) /* bit 0: FIFOs on */
#define UART_LSR UART(5u)
#define UART_LSR_RECEIVED 0x01u
#define UART_LSR_ROOM 0x20u  /* for one more byte */
#define UART_LSR_EMPTY 0x40u /* all sent */

/* Without FIFOs: QEMU then runs no timer for them, and hands over byte after byte. */
static inline void uart_start(void) {
    UART_FCR = 0;
    UART_IER = 1;
}

static inline bool uart_received(void) {
    return (UART_LSR & UART_LSR_RECEIVED) != 0;
}

static inline uint8_t uart_take(void) {
    return (uint8_t)UART_DATA;
}

void board_putc(uint8_t byte) {
    while ((UART_LSR & UART_LSR_ROOM) == 0) {
    }
    UART_DATA = byte;
}

void board_flush(void) {
    while ((UART_LSR & UART_LSR_EMPTY) == 0) {
    }
}

#endif
