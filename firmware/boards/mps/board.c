/* boards/mps - the port for Arm's MPS2 and MPS3 FPGA boards as QEMU emulates them; machine.h, in
 * the folder of each, says which. They exist to run the code of their cores without hardware, and
 * to count its instructions.
 *
 *     qemu-system-arm -M mps2-an385 -icount shift=6,sleep=off -serial pty -kernel ELF
 *
 * Ticks are executed instructions, exactly: one takes 64 virtual ns then, and the counter among the
 * FPGA's own registers (FPGAIO, Arm DAI 0385) counts in 40 or 50. */
#include "board.h"

#include "common/counter.h"
#include "cortex_m/core.h"
#include "machine.h"

#include "common/uart_cmsdk.h"

#define FPGAIO_COUNTER REGISTER(FPGAIO_BASE + 0x18u)
#define FPGAIO_PRESCALE REGISTER(FPGAIO_BASE + 0x1Cu) /* counts that a count takes, less one */

#define ICOUNT_SHIFT 6u
#define TICK_HZ 15625000u /* 1 / 64 ns */

/* The watchdog (DDI 0479). One that asks for nothing should stand still, but QEMU 7.2's runs until
 * it has run out for the second time, and a sleeping core's clock jumps to when that will be. */
#define WATCHDOG_LOAD REGISTER(WATCHDOG_BASE)
#define WATCHDOG_LEAST 1u
#define WATCHDOG_MICROS 200u /* in which it runs out twice, even at 32 kHz */

static instruction_counter executed;
static microsecond_counter micros;

static void stop_watchdog(void) {
    WATCHDOG_LOAD = WATCHDOG_LEAST;
    const uint32_t start = FPGAIO_COUNTER;
    while (FPGAIO_COUNTER - start < WATCHDOG_MICROS * FPGAIO_MHZ) {
    }
}

void board_init(int argc, char *argv[]) {
    (void)argc;
    (void)argv;
    FPGAIO_PRESCALE = 0;
    stop_watchdog();
    executed.count = micros.count = FPGAIO_COUNTER;
    uart_start();
}

const char *board_name(void) {
    return MACHINE_NAME;
}

/* An emulated core has no clock. */
uint32_t board_core_hz(void) {
    return 0;
}

int board_getc(void) {
    if (!uart_received())
        core_sleep_until(uart_received, UART_INTERRUPT);
    return uart_take();
}

/* An emulated line has no rate. */
bool board_baud(uint32_t baud, bool set) {
    (void)set;
    return baud == 0;
}

uint32_t board_ticks(void) {
    return counter_instructions(&executed, FPGAIO_COUNTER, 1000u / FPGAIO_MHZ, ICOUNT_SHIFT);
}

const char *board_tick_source(void) {
    return "icount";
}

uint32_t board_tick_hz(void) {
    return TICK_HZ;
}

uint32_t board_micros(void) {
    return counter_micros(&micros, FPGAIO_COUNTER, FPGAIO_MHZ);
}
