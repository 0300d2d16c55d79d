/* startup.c - from reset to main(), and what happens on a fault. */
#include "board.h"

#include "registers.h"
#include "startup.h"

/* From link.ld. */
extern uint32_t __data_start[], __data_end[], __bss_start[], __bss_end[];
extern const uint32_t __data_load[];

int main(int argc, char *argv[]);

void reset_handler(void);
void fault_handler(void);
void fault_report(uint32_t exception, uint32_t pc);

typedef void (*vector)(void);

/* The core's own exceptions. No interrupt is ever enabled, so the table ends there. */
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack_top;
    vector reset, nmi, hard_fault, memory_fault, bus_fault, usage_fault, reserved[4];
    vector svcall, debug, reserved_too, pendsv, systick;
} vectors = {
    .stack_top = __stack_top,
    .reset = reset_handler,
    .nmi = fault_handler,
    .hard_fault = fault_handler,
    .memory_fault = fault_handler,
    .bus_fault = fault_handler,
    .usage_fault = fault_handler,
    .svcall = fault_handler,
    .debug = fault_handler,
    .pendsv = fault_handler,
    .systick = fault_handler,
};

/* Everything below the stack pointer gets a pattern; where it is gone, the stack has been. */
static void paint_stack(void) {
    uint32_t *here;
    __asm__ volatile("mov %0, sp" : "=r"(here));
    for (uint32_t *word = __stack_limit; word < here; word++)
        *word = STACK_PAINT;
}

void reset_handler(void) {
    SCB_CPACR |= SCB_CPACR_FPU;
    __asm__ volatile("dsb\n\tisb");
    SCB_VTOR = (uint32_t)&vectors;
    SCB_SHCSR |= SCB_SHCSR_FAULTS;
    const uint32_t *from = __data_load;
    for (uint32_t *to = __data_start; to < __data_end; to++)
        *to = *from++;
    for (uint32_t *to = __bss_start; to < __bss_end; to++)
        *to = 0;
    paint_stack();
    (void)main(0, NULL);
    board_flush();
    board_reset(); /* main() of a test ends; an emulator stops here, a board runs it again */
}

/* The fault of the load in the middle ends behind it, with false. */
__attribute__((naked)) bool startup_answers(const volatile uint32_t *address) {
    (void)address;
    __asm__ volatile("probe_load:\n\t"
                     "ldr.w r0, [r0]\n\t"
                     "dsb\n\t"
                     "movs r0, #1\n\t"
                     "bx lr\n"
                     "probe_absent:\n\t"
                     "movs r0, #0\n\t"
                     "bx lr");
}

/* The stack may be what is broken: take the address of the fault from it, if it lies in the RAM,
 * then begin it anew. */
__attribute__((naked)) void fault_handler(void) {
    __asm__ volatile("mrs r0, ipsr\n\t"
                     "mov r2, sp\n\t"
                     "movs r1, #0\n\t"
                     "ldr r3, =__stack_limit\n\t"
                     "cmp r2, r3\n\t"
                     "it hs\n\t"
                     "ldrhs r1, [r2, #24]\n\t" /* the PC in the exception's frame */
                     "ldr r3, =probe_load\n\t"
                     "bic r3, r3, #1\n\t"
                     "cmp r1, r3\n\t"
                     "bne 1f\n\t"
                     "ldr r3, =probe_absent\n\t"
                     "bic r3, r3, #1\n\t"
                     "str r3, [r2, #24]\n\t"
                     "bx lr\n"
                     "1:\n\t"
                     "ldr r3, =__stack_top\n\t"
                     "mov sp, r3\n\t"
                     "b fault_report\n\t"
                     ".ltorg");
}

/* Sends without waiting for ever: the line may not be on. */
static void send(char character) {
    for (uint32_t patience = 100000; patience > 0; patience--) {
        if ((USART1_SR & USART_SR_TXE) != 0) {
            USART1_DR = (uint8_t)character;
            return;
        }
    }
}

static void send_text(const char *text) {
    while (*text != '\0')
        send(*text++);
}

static void send_hex(uint32_t value) {
    for (int shift = 28; shift >= 0; shift -= 4)
        send("0123456789abcdef"[(value >> shift) & 15u]);
}

/* `exception` is the core's number: 3 hard fault, 4 memory, 5 bus, 6 usage. */
__attribute__((used)) void fault_report(uint32_t exception, uint32_t pc) {
    send_text("\r\ne-[Fault ");
    send((char)('0' + exception % 10u));
    send_text(" at ");
    send_hex(pc);
    send_text(", CFSR ");
    send_hex(SCB_CFSR);
    send_text(", BFAR ");
    send_hex(SCB_BFAR);
    send_text("]\r\n");
    board_reset();
}
