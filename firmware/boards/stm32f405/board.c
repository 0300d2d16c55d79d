/* boards/stm32f405 - the port for a bare STM32F405, real or QEMU's netduinoplus2.
 *
 * Line: USART1 on PA9 (to the host) and PA10, 115200 8N1. Ticks: DWT's cycle counter where it
 * counts, else TIM2. QEMU has no DWT; started with -icount shift=0, its TIM2 ticks once for each
 * executed instruction. */
#include "board.h"

#include "clock.h"
#include "registers.h"
#include "startup.h"

#define BAUD 115200u

/* From link.ld: addresses, and two sizes in the shape of addresses. */
extern const uint8_t __image_start[], __image_end[], __data_start[], __bss_end[];
extern const uint8_t __flash_size[], __ram_size[];

static clock_rates rates;
static const volatile uint32_t *ticks; /* the register that counts */

static void start_timer(uint32_t base, uint32_t divide_by) {
    TIM_PSC(base) = divide_by - 1u;
    TIM_EGR(base) = TIM_EGR_UG; /* take the prescaler over, and begin with 0 */
    TIM_CR1(base) = TIM_CR1_CEN;
}

static void start_counters(void) {
    RCC_APB1ENR |= RCC_APB1ENR_TIM2 | RCC_APB1ENR_TIM5;
    (void)RCC_APB1ENR; /* a peripheral's clock is on two cycles after the write */
    start_timer(TIM2_BASE, 1);
    start_timer(TIM5_BASE, rates.timer / 1000000u);

    DEMCR |= DEMCR_TRCENA;
    DWT_CYCCNT = 0;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
    const uint32_t before = DWT_CYCCNT;
    __asm__ volatile("nop\n\tnop\n\tnop\n\tnop");
    ticks = DWT_CYCCNT != before ? &DWT_CYCCNT : &TIM_CNT(TIM2_BASE);
}

static void start_line(void) {
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOA;
    RCC_APB2ENR |= RCC_APB2ENR_USART1;
    (void)RCC_APB2ENR;
    GPIOA_AFRH = (GPIOA_AFRH & ~UINT32_C(0xFF0)) | UINT32_C(0x770); /* PA9, PA10: function 7 */
    GPIOA_PUPDR = (GPIOA_PUPDR & ~(UINT32_C(15) << 18)) | UINT32_C(1) << 20; /* PA10 pulled up */
    GPIOA_MODER = (GPIOA_MODER & ~(UINT32_C(15) << 18)) | UINT32_C(10) << 18;
    USART1_BRR = (rates.apb2 + BAUD / 2) / BAUD;
    USART1_CR1 = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE;
}

void board_init(int argc, char *argv[]) {
    (void)argc;
    (void)argv;
    rates = clock_start();
    start_counters();
    start_line();
}

const char *board_name(void) {
    return "stm32f405";
}

uint32_t board_core_hz(void) {
    return rates.core;
}

/* Sleep until the line has something. The interrupt only ends the sleep: it is enabled here alone
 * and, being masked, never taken. (An emulated core that sleeps leaves the host's to others.) */
static void wait_for_byte(void) {
    __asm__ volatile("cpsid i" ::: "memory");
    NVIC_ISER1 = NVIC1_USART1;
    for (;;) {
        NVIC_ICPR1 = NVIC1_USART1; /* of a byte that has been read; a new one sets it again */
        if ((USART1_SR & (USART_SR_RXNE | USART_SR_ORE)) != 0)
            break;
        __asm__ volatile("dsb\n\twfi" ::: "memory");
    }
    NVIC_ICER1 = NVIC1_USART1;
    __asm__ volatile("dsb\n\tisb\n\tcpsie i" ::: "memory");
}

int board_getc(void) {
    for (;;) {
        const uint32_t status = USART1_SR;
        if ((status & (USART_SR_RXNE | USART_SR_ORE)) == 0) {
            wait_for_byte();
            continue;
        }
        const uint8_t byte = (uint8_t)USART1_DR; /* also ends an overrun */
        if ((status & USART_SR_RXNE) != 0)
            return byte;
    }
}

void board_putc(uint8_t byte) {
    while ((USART1_SR & USART_SR_TXE) == 0) {
    }
    USART1_DR = byte;
}

void board_flush(void) {
    while ((USART1_SR & USART_SR_TC) == 0) {
    }
}

uint32_t board_ticks(void) {
    return *ticks;
}

const char *board_tick_source(void) {
    return ticks == &DWT_CYCCNT ? "dwt" : "tim2";
}

uint32_t board_tick_hz(void) {
    return ticks == &DWT_CYCCNT ? rates.core : rates.timer;
}

uint32_t board_micros(void) {
    return TIM_CNT(TIM5_BASE);
}

static uint32_t stack_peak(void) {
    const uint32_t *word = __stack_limit;
    while (word < __stack_top && *word == STACK_PAINT)
        word++;
    return (uint32_t)(__stack_top - word) * sizeof *word;
}

void board_memory(board_memory_info *info) {
    info->flash_size = (uint32_t)__flash_size;
    info->flash_used = (uint32_t)(__image_end - __image_start);
    info->ram_size = (uint32_t)__ram_size;
    info->ram_static = (uint32_t)(__bss_end - __data_start);
    info->stack_size = (uint32_t)(__stack_top - __stack_limit) * sizeof *__stack_limit;
    info->stack_peak = stack_peak();
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
