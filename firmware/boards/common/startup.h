/* startup.h - what boards of ours that have no C library share: from the first instruction in C to
 * main(), the stack's paint, and the message of a fault.
 *
 * The linker script defines the symbols below. The stack stands below .data, so that one that
 * overflows leaves the RAM, or meets code, and not the model. */
#ifndef COMMON_STARTUP_H
#define COMMON_STARTUP_H

#include <stdint.h>

/* The stack's lowest address, and the one behind its highest. */
extern uint32_t __stack_limit[], __stack_top[];

/* Clear .bss, paint the stack, run main(), then start over. Comes with the stack pointer set, and
 * .data in its place. Does not return. */
void startup(void);

/* Bytes of the stack that have ever been in use. */
uint32_t startup_stack_peak(void);

/* Send `e-[Fault CAUSE at PC, address ADDRESS]`, in hexadecimal, and start over. Needs no .data and
 * no .bss. Does not return. */
void startup_fault(uint32_t cause, uint32_t pc, uint32_t address);

#endif
