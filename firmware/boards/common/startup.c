/* startup.c - from the first instruction in C to main(), and what board_memory() tells of it. */
#include "startup.h"

#include "board.h"

#define STACK_PAINT 0xA5C3A5C3u

/* From link.ld: addresses, and sizes in the shape of addresses. */
extern uint32_t __bss_start[], __bss_end[];
extern const uint8_t __flash_size[], __flash_used[], __ram_size[], __ram_static[];

int main(int argc, char *argv[]);

/* Everything below this function's frame gets a pattern; where it is gone, the stack has been. */
static void paint_stack(void) {
    const uint32_t *const here = (const uint32_t *)__builtin_frame_address(0);
    /* What the frame needs below its address is small; the paint keeps clear of it. */
    for (uint32_t *word = __stack_limit; word + 16 < here; word++)
        *word = STACK_PAINT;
}

void startup(void) {
    for (uint32_t *word = __bss_start; word < __bss_end; word++)
        *word = 0;
    paint_stack();
    (void)main(0, (char **)0);
    board_flush();
    board_reset(); /* main() of a test ends; an emulator stops here, a board runs it again */
}

uint32_t startup_stack_peak(void) {
    const uint32_t *word = __stack_limit;
    while (word < __stack_top && *word == STACK_PAINT)
        word++;
    return (uint32_t)(__stack_top - word) * sizeof *word;
}

void board_memory(board_memory_info *info) {
    info->flash_size = (uint32_t)(uintptr_t)__flash_size;
    info->flash_used = (uint32_t)(uintptr_t)__flash_used;
    info->ram_size = (uint32_t)(uintptr_t)__ram_size;
    info->ram_static = (uint32_t)(uintptr_t)__ram_static;
    info->stack_size = (uint32_t)(__stack_top - __stack_limit) * sizeof *__stack_limit;
    info->stack_peak = startup_stack_peak();
}

static void send_text(const char *text) {
    while (*text != '\0')
        board_putc((uint8_t)*text++);
}

/* Digits by arithmetic: a table's bytes may lie where the fault came from. */
static void send_hex(uint32_t value) {
    for (int shift = 28; shift >= 0; shift -= 4) {
        const uint32_t digit = (value >> shift) & 15u;
        board_putc((uint8_t)(digit < 10u ? '0' + digit : 'a' - 10u + digit));
    }
}

void startup_fault(uint32_t cause, uint32_t pc, uint32_t address) {
    send_text("\r\ne-[Fault ");
    send_hex(cause);
    send_text(" at ");
    send_hex(pc);
    send_text(", address ");
    send_hex(address);
    send_text("]\r\n");
    board_flush();
    board_reset();
}
