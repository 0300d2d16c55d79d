/* clock.c - from the internal 16 MHz to 168 MHz (ST RM0090, chapters 3 and 7). */
#include "clock.h"

#include "registers.h"

#define HSI_HZ 16000000u
#define PLL_HZ 168000000u

/* What goes into the PLL, and its divider to 2 MHz, or 1 MHz for odd crystals. */
#define PLL_SOURCE_HZ (NANO_HSE_HZ != 0 ? NANO_HSE_HZ : HSI_HZ)
#define PLL_INPUT_HZ (PLL_SOURCE_HZ % 2000000u == 0 ? 2000000u : 1000000u)
#define PLL_M (PLL_SOURCE_HZ / PLL_INPUT_HZ)
#define PLL_N (2u * PLL_HZ / PLL_INPUT_HZ) /* the VCO runs at 336 MHz, P divides by 2 */
#define PLL_Q 7u                           /* 48 MHz */

#if NANO_HSE_HZ != 0 &&                                                                            \
    (NANO_HSE_HZ < 4000000 || NANO_HSE_HZ > 26000000 || NANO_HSE_HZ % 1000000 != 0)
#error "NANO_HSE_HZ must be 0 or whole MHz from 4 to 26"
#endif

/* QEMU's timers count its virtual nanoseconds. */
#define EMULATED_TIMER_HZ 1000000000u

/* Flash needs five wait states at 168 MHz and 2.7 V. */
#define WAIT_STATES 5u

/* Silicon of revision A has a faulty prefetch. */
#define REVISION_A 0x1000u

/* Longer than a crystal may take to start: 5 cycles a turn at 16 MHz make 60 ms. */
#define PATIENCE 200000u

static bool wait_for(volatile const uint32_t *where, uint32_t mask, uint32_t value) {
    for (uint32_t i = 0; i < PATIENCE; i++) {
        if ((*where & mask) == value)
            return true;
    }
    return false;
}

/* Back to the state after reset: a boot loader may have left the PLL on. */
static bool stop_pll(void) {
    RCC_CR |= RCC_CR_HSION;
    if (!wait_for(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY))
        return false;
    RCC_CFGR = 0;
    if (!wait_for(&RCC_CFGR, RCC_CFGR_SWS, 0))
        return false;
    RCC_CR &= ~RCC_CR_PLLON;
    return wait_for(&RCC_CR, RCC_CR_PLLRDY, 0);
}

static bool start_pll(void) {
    uint32_t source = 0;
    if (NANO_HSE_HZ != 0) {
        RCC_CR |= RCC_CR_HSEON;
        if (!wait_for(&RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY))
            return false;
        source = RCC_PLLCFGR_HSE;
    }
    RCC_PLLCFGR = PLL_M | PLL_N << RCC_PLLCFGR_N | source | PLL_Q << RCC_PLLCFGR_Q;
    RCC_CR |= RCC_CR_PLLON;
    if (!wait_for(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY)) {
        RCC_CR &= ~RCC_CR_PLLON;
        return false;
    }
    return true;
}

/* The flash must be slow enough before the core becomes fast. Only silicon gets here: QEMU has no
 * DBGMCU, either. */
static bool switch_to_pll(void) {
    uint32_t access = WAIT_STATES | FLASH_ACR_ICACHE | FLASH_ACR_DCACHE;
    if (DBGMCU_IDCODE >> 16 != REVISION_A)
        access |= FLASH_ACR_PREFETCH;
    DBGMCU_CR |= DBGMCU_CR_SLEEP; /* a debugger can reach the core while it waits for the line */
    FLASH_ACR = access;
    if (!wait_for(&FLASH_ACR, FLASH_ACR_LATENCY, WAIT_STATES))
        return false;
    RCC_CFGR = RCC_CFGR_APB1_DIV4 | RCC_CFGR_APB2_DIV2;
    RCC_CFGR = RCC_CFGR_APB1_DIV4 | RCC_CFGR_APB2_DIV2 | RCC_CFGR_SW_PLL;
    if (wait_for(&RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL))
        return true;
    RCC_CFGR = 0;
    return false;
}

clock_rates clock_start(void) {
    /* The internal oscillator is on after reset; where RCC_CR reads 0, there is no RCC: QEMU. */
    if (RCC_CR == 0)
        return (clock_rates){.core = 0, .apb2 = HSI_HZ, .timer = EMULATED_TIMER_HZ};
    if (stop_pll() && start_pll() && switch_to_pll()) {
        /* APB1 is a quarter of the core's clock, and its timers run at twice APB1. */
        return (clock_rates){.core = PLL_HZ, .apb2 = PLL_HZ / 2, .timer = PLL_HZ / 2};
    }
    return (clock_rates){.core = HSI_HZ, .apb2 = HSI_HZ, .timer = HSI_HZ};
}
