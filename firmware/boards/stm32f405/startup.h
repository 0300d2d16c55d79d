/* startup.h - what start-up and the port share: the stack and its paint. */
#ifndef STM32F405_STARTUP_H
#define STM32F405_STARTUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STACK_PAINT 0xA5C3A5C3u

/* From link.ld: the stack's lowest address, and the one behind its highest. */
extern uint32_t __stack_limit[], __stack_top[];

/* Is there anything at this address? A bus fault means no. */
bool startup_answers(const volatile uint32_t *address);

#endif
