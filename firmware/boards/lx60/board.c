/* boards/lx60 - the port for QEMU's lx60 board. It exists to run Xtensa code without hardware, and
 * to count its instructions, with one of two cores:
 *
 *     xtensa_sim  LX106, an ESP8266's: no board has it with an lx60
 *     xtensa_lx6  one that has an ESP32's MAC16 and loops
 *
 * Each one's machine.h says where its peripherals are, and how QEMU is called. Ticks are executed
 * instructions, exactly: one takes 32 virtual ns then, and CCOUNT runs at the emulated 40 MHz. */
#include "board.h"

#include "common/counter.h"
#include "core.h"
#include "machine.h"

#define UART_BASE (IO_BASE + 0xD050020u)
#define UART_STRIDE 4
#include "common/uart16550.h"

/* The UART's line is the core's external interrupt 0. */
#define UART_INTERRUPT 1u

#define FPGA_RESET (*(volatile uint32_t *)(IO_BASE + 0xD020010u))
#define FPGA_RESET_NOW 0xDEADu

#define COUNT_MHZ 40u
#define ICOUNT_SHIFT 5u
#define TICK_HZ 31250000u /* 1 / 32 ns */

extern const uint8_t __image_start[], __image_end[]; /* from link.ld */

static instruction_counter executed;
static microsecond_counter micros;

void board_init(int argc, char *argv[]) {
    (void)argc;
    (void)argv;
    executed.count = micros.count = core_ccount();
    uart_start();
}

const char *board_name(void) {
    return BOARD_NAME;
}

/* An emulated core has no clock. */
uint32_t board_core_hz(void) {
    return 0;
}

/* Sleep until the line has something: an emulated core that polls would keep one of the host's
 * busy. A byte that comes after the last look is a pending interrupt, which `waiti` takes at once;
 * its handler (vectors.S) masks it again and returns here. */
int board_getc(void) {
    for (;;) {
        uint32_t old;
        __asm__ volatile("rsil %0, 15" : "=a"(old)::"memory");
        if (uart_received())
            return uart_take();
        __asm__ volatile("wsr.intenable %0\n\trsync\n\twaiti 0" ::"a"(UART_INTERRUPT) : "memory");
    }
}

/* An emulated line has no rate. */
bool board_baud(uint32_t baud, bool set) {
    (void)set;
    return baud == 0;
}

/* Exact if asked at least once in 3.3e9 instructions, which the emulator needs a minute for. */
uint32_t board_ticks(void) {
    return counter_instructions(&executed, core_ccount(), 1000u / COUNT_MHZ, ICOUNT_SHIFT);
}

const char *board_tick_source(void) {
    return "icount";
}

uint32_t board_tick_hz(void) {
    return TICK_HZ;
}

uint32_t board_micros(void) {
    return counter_micros(&micros, core_ccount(), COUNT_MHZ);
}

void board_image(const uint8_t **start, uint32_t *size) {
    *start = __image_start;
    *size = (uint32_t)(__image_end - __image_start);
}

/* QEMU loads the image anew. */
void board_reset(void) {
    FPGA_RESET = FPGA_RESET_NOW;
    for (;;) {
    }
}
