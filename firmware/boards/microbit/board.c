/* boards/microbit - the port for QEMU's BBC micro:bit: an nRF51 with a Cortex-M0 and 16 KB of RAM.
 * It exists to run the code of that core without hardware, and to count its instructions.
 *
 *     qemu-system-arm -M microbit -icount shift=7,sleep=off -serial pty -kernel ELF
 *
 * Ticks are executed instructions, exactly: one takes 128 virtual ns then, and a count of the timer
 * 125. The timer stands while the core sleeps, as QEMU would move its clock on to where the timer
 * next compares, and begins anew behind it, at a whole number of instructions. */
#include "board.h"

#include "common/counter.h"
#include "registers.h"

#define TIMER_MHZ 8u
#define TIMER_PERIOD 125u /* ns */
#define TIMER_DIVISION 1u /* 16 MHz / 2^1 */

#define ICOUNT_SHIFT 7u
#define TICK_HZ 7812500u /* 1 / 128 ns */

static instruction_counter executed;
static microsecond_counter micros;
static struct { uint32_t ticks, micros; } asleep; /* what both were when the core last slept */

static uint32_t timer_count(void) {
    TIMER_CAPTURE = 1;
    return TIMER_CAPTURED;
}

void board_init(int argc, char *argv[]) {
    (void)argc;
    (void)argv;
    TIMER_BITMODE = TIMER_32_BITS;
    TIMER_PRESCALER = TIMER_DIVISION;
    TIMER_START = 1;
    UART_ENABLE = UART_ENABLED;
    UART_INTENSET = UART_INT_RXDRDY;
    UART_STARTRX = 1;
    UART_STARTTX = 1;
}

const char *board_name(void) {
    return "microbit";
}

/* An emulated core has no clock. */
uint32_t board_core_hz(void) {
    return 0;
}

static bool received(void) {
    return UART_RXDRDY != 0;
}

static void sleep_until_received(void) {
    asleep.ticks = board_ticks();
    asleep.micros = board_micros();
    TIMER_STOP = 1;
    core_sleep_until(received, UART_INTERRUPT);
    executed.count = executed.wrapped = 0;
    micros.count = micros.micros = 0;
    TIMER_CLEAR = 1;
    TIMER_START = 1;
}

int board_getc(void) {
    if (!received())
        sleep_until_received();
    UART_RXDRDY = 0; /* comes back with the next byte, if there is one */
    return (uint8_t)UART_RXD;
}

/* A byte has gone before the next one is sent, so that nothing is held back. */
void board_putc(uint8_t byte) {
    UART_TXDRDY = 0;
    UART_TXD = byte;
    while (UART_TXDRDY == 0) {
    }
}

void board_flush(void) {
}

/* An emulated line has no rate. */
bool board_baud(uint32_t baud, bool set) {
    (void)set;
    return baud == 0;
}

uint32_t board_ticks(void) {
    return asleep.ticks +
           counter_instructions(&executed, timer_count(), TIMER_PERIOD, ICOUNT_SHIFT);
}

const char *board_tick_source(void) {
    return "icount";
}

uint32_t board_tick_hz(void) {
    return TICK_HZ;
}

/* Without the time asleep. */
uint32_t board_micros(void) {
    return asleep.micros + counter_micros(&micros, timer_count(), TIMER_MHZ);
}
