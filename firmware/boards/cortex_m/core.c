/* core.c - a Cortex-M core from reset to startup(), on a fault, and asleep. */
#include "core.h"

#include "board.h"
#include "common/startup.h"

/* From sections.ld. */
extern uint32_t __data_start[], __data_end[];
extern const uint32_t __data_load[];
extern const uint8_t __image_start[], __image_end[];

void reset_handler(void);
void fault_handler(void);
void fault_report(uint32_t exception, uint32_t pc);

typedef void (*vector)(void);

/* The core's own exceptions. No interrupt is ever taken, so the table ends there. */
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

void reset_handler(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    SCB_CPACR |= SCB_CPACR_FPU;
    __asm__ volatile("dsb\n\tisb");
#endif
#if !defined(__ARM_ARCH_6M__) /* whose table is at 0, and which has one fault */
    SCB_VTOR = (uint32_t)&vectors;
    SCB_SHCSR |= SCB_SHCSR_FAULTS;
#endif
    const uint32_t *from = __data_load;
    for (uint32_t *to = __data_start; to < __data_end; to++)
        *to = *from++;
    startup();
}

#if defined(__ARM_ARCH_6M__)

/* As below, in the instructions that there are; core_answers() there is not. */
__attribute__((naked)) void fault_handler(void) {
    __asm__ volatile("mrs r0, ipsr\n\t"
                     "mov r2, sp\n\t"
                     "movs r1, #0\n\t"
                     "ldr r3, =__stack_limit\n\t"
                     "cmp r2, r3\n\t"
                     "blo 1f\n\t"
                     "ldr r1, [r2, #24]\n" /* the PC in the exception's frame */
                     "1:\n\t"
                     "ldr r3, =__stack_top\n\t"
                     "mov sp, r3\n\t"
                     "ldr r3, =fault_report\n\t"
                     "bx r3\n\t"
                     ".ltorg");
}

/* The core does not tell a fault's kind and address. */
__attribute__((used)) void fault_report(uint32_t exception, uint32_t pc) {
    startup_fault(exception << 28, pc, 0);
}

#else

/* The fault of the load in the middle ends behind it, with false: fault_handler() sees to that. */
__attribute__((naked)) bool core_answers(const volatile uint32_t *address) {
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

/* The stack may be what is broken: take the address of the fault from it, unless it has left the
 * RAM at its lower end, then begin it anew. */
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

/* `exception` is the core's number: 3 hard fault, 4 memory, 5 bus, 6 usage. CFSR has no bits where
 * the message has it. */
__attribute__((used)) void fault_report(uint32_t exception, uint32_t pc) {
    startup_fault(exception << 28 | SCB_CFSR, pc, SCB_BFAR);
}

#endif

void core_sleep_until(bool (*ready)(void), uint32_t interrupt) {
    const uint32_t bit = NVIC_BIT(interrupt);
    __asm__ volatile("cpsid i" ::: "memory");
    NVIC_ISER(interrupt) = bit;
    for (;;) {
        NVIC_ICPR(interrupt) = bit; /* of what is over; a new request sets it again */
        if (ready())
            break;
        __asm__ volatile("dsb\n\twfi" ::: "memory");
    }
    NVIC_ICER(interrupt) = bit;
    __asm__ volatile("dsb\n\tisb\n\tcpsie i" ::: "memory");
}

void board_image(const uint8_t **start, uint32_t *size) {
    *start = __image_start;
    *size = (uint32_t)(__image_end - __image_start);
}

void board_reset(void) {
    __asm__ volatile("dsb");
    SCB_AIRCR = SCB_AIRCR_SYSRESETREQ;
    __asm__ volatile("dsb");
    for (;;) {
    }
}
