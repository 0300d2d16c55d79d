/* uart_cmsdk.h - the registers of the UART in Arm's Cortex-M System Design Kit (DDI 0479), as QEMU
 * emulates it: the line's rate is set, but means nothing.
 *
 * The board defines UART_BASE, its address. Included once, by board.c: board_putc() and
 * board_flush() are here. */
#ifndef COMMON_UART_CMSDK_H
#define COMMON_UART_CMSDK_H

#include <stdbool.h>
#include <stdint.h>

#include "board.h"

#define UART(offset) (*(volatile uint32_t *)(UART_BASE + (offset)))
#define UART_DATA UART(0x00u)
#define UART_STATE UART(0x04u)
#define UART_STATE_SENDING 0x1u
#define UART_STATE_RECEIVED 0x2u
#define UART_CTRL UART(0x08u)
#define UART_CTRL_SEND 0x1u
#define UART_CTRL_RECEIVE 0x2u
#define UART_CTRL_RECEIVE_INTERRUPT 0x8u
#define UART_INTCLEAR UART(0x0Cu)
#define UART_INTCLEAR_RECEIVE 0x2u
#define UART_BAUDDIV UART(0x10u)
#define UART_BAUDDIV_LEAST 16u

static inline void uart_start(void) {
    UART_BAUDDIV = UART_BAUDDIV_LEAST;
    UART_CTRL = UART_CTRL_SEND | UART_CTRL_RECEIVE | UART_CTRL_RECEIVE_INTERRUPT;
}

static inline bool uart_received(void) {
    return (UART_STATE & UART_STATE_RECEIVED) != 0;
}

/* Also takes the interrupt's reason away. Of a byte that came in between, uart_received() tells. */
static inline uint8_t uart_take(void) {
    const uint8_t byte = (uint8_t)UART_DATA;
    UART_INTCLEAR = UART_INTCLEAR_RECEIVE;
    return byte;
}

void board_flush(void) {
    while ((UART_STATE & UART_STATE_SENDING) != 0) {
    }
}

void board_putc(uint8_t byte) {
    board_flush();
    UART_DATA = byte;
}

#endif
