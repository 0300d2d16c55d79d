/* core.h - what all Cortex-M boards share: the core's registers that a port touches (Arm DDI 0403,
 * DDI 0419, DDI 0553), and sleep. The rest, from reset to startup(), is in core.c. */
#ifndef CORTEX_M_CORE_H
#define CORTEX_M_CORE_H

#include <stdbool.h>
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define BIT(n) (UINT32_C(1) << (n))

/* Debug and trace */
#define DWT_CTRL REGISTER(0xE0001000u)
#define DWT_CTRL_CYCCNTENA BIT(0)
#define DWT_CYCCNT REGISTER(0xE0001004u)
#define DEMCR REGISTER(0xE000EDFCu)
#define DEMCR_TRCENA BIT(24)

/* Interrupts: enable, disable, forget */
#define NVIC_ISER(interrupt) REGISTER(0xE000E100u + 4u * ((interrupt) / 32u))
#define NVIC_ICER(interrupt) REGISTER(0xE000E180u + 4u * ((interrupt) / 32u))
#define NVIC_ICPR(interrupt) REGISTER(0xE000E280u + 4u * ((interrupt) / 32u))
#define NVIC_BIT(interrupt) BIT((interrupt) % 32u)

/* System control */
#define SCB_VTOR REGISTER(0xE000ED08u)
#define SCB_AIRCR REGISTER(0xE000ED0Cu)
#define SCB_AIRCR_SYSRESETREQ (UINT32_C(0x05FA0000) | BIT(2))
#define SCB_SHCSR REGISTER(0xE000ED24u)
#define SCB_SHCSR_FAULTS (BIT(16) | BIT(17) | BIT(18)) /* memory, bus, usage */
#define SCB_CFSR REGISTER(0xE000ED28u)
#define SCB_BFAR REGISTER(0xE000ED38u)
#define SCB_CPACR REGISTER(0xE000ED88u)
#define SCB_CPACR_FPU (UINT32_C(15) << 20) /* and MVE */

/* Sleep until `ready()`. `interrupt` must be requested whenever that may have become true; it only
 * ends the sleep: it is enabled here alone and, being masked, never taken. (An emulated core that
 * sleeps leaves the host's to others.) */
void core_sleep_until(bool (*ready)(void), uint32_t interrupt);

/* Is there anything at this address? A bus fault means no. (Not on Armv6-M.) */
bool core_answers(const volatile uint32_t *address);

#endif
