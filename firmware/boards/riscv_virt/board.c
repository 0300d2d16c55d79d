/* boards/riscv_virt - the port for QEMU's riscv32 `virt` board, compiled for the instruction set of
 * an ESP32-C3 (RV32IMC). It exists to run that code without hardware, and to count its
 * instructions.
 *
 *     qemu-system-riscv32 -M virt -bios none -icount shift=0,sleep=off -serial pty -kernel ELF
 *
 * Ticks are executed instructions, exactly: minstret. One takes a virtual ns then. */
#include "board.h"

#include "common/counter.h"

#define UART_BASE 0x10000000u
#define UART_STRIDE 1
#include "common/uart16550.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* The interrupt controller, as hart 0 sees it in machine mode. */
#define UART_INTERRUPT 10u
#define PLIC_PRIORITY(source) REGISTER(0x0C000000u + 4u * (source))
#define PLIC_ENABLE REGISTER(0x0C002000u)
#define PLIC_CLAIM REGISTER(0x0C200004u)
#define MIE_EXTERNAL (1u << 11)

#define MTIME_LOW REGISTER(0x0200BFF8u)
#define MTIME_MHZ 10u

/* The test device: what ends or restarts the machine. */
#define FINISHER REGISTER(0x00100000u)
#define FINISHER_RESET 0x7777u

#define TICK_HZ 1000000000u

/* gcc takes control registers for an extension of RV32IMC, and with it named on the command line it
 * finds no libgcc; so only the assembler is told. */
#define CONTROL(instruction)                                                                       \
    ".option push\n\t.option arch, +zicsr\n\t" instruction "\n\t.option pop"

extern const uint8_t __image_start[], __image_end[]; /* from link.ld */

static microsecond_counter micros;

void board_init(int argc, char *argv[]) {
    (void)argc;
    (void)argv;
    micros.count = MTIME_LOW;
    uart_start();
    PLIC_PRIORITY(UART_INTERRUPT) = 1;
    PLIC_ENABLE = 1u << UART_INTERRUPT;
    /* The interrupt ends a wfi; mstatus.MIE stays off. */
    __asm__ volatile(CONTROL("csrw mie, %0")::"r"(MIE_EXTERNAL));
}

const char *board_name(void) {
    return "riscv_virt";
}

/* An emulated core has no clock. */
uint32_t board_core_hz(void) {
    return 0;
}

/* Sleep until the line has something: an emulated core that polls would keep one of the host's
 * busy. The interrupt is never taken, so nothing is lost between the look and the sleep. */
int board_getc(void) {
    while (!uart_received()) {
        __asm__ volatile("wfi" ::: "memory");
        PLIC_CLAIM = PLIC_CLAIM; /* taken note of, and done with */
    }
    return uart_take();
}

/* An emulated line has no rate. */
bool board_baud(uint32_t baud, bool set) {
    (void)set;
    return baud == 0;
}

uint32_t board_ticks(void) {
    uint32_t count;
    __asm__ volatile(CONTROL("csrr %0, minstret") : "=r"(count));
    return count;
}

const char *board_tick_source(void) {
    return "minstret";
}

uint32_t board_tick_hz(void) {
    return TICK_HZ;
}

uint32_t board_micros(void) {
    return counter_micros(&micros, MTIME_LOW, MTIME_MHZ);
}

void board_image(const uint8_t **start, uint32_t *size) {
    *start = __image_start;
    *size = (uint32_t)(__image_end - __image_start);
}

/* QEMU loads the image anew. */
void board_reset(void) {
    FINISHER = FINISHER_RESET;
    for (;;) {
    }
}
