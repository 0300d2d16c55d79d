/* boards/stm32f405 - the port for a bare STM32F405, real or QEMU's netduinoplus2.
 *
 * Line: USART1 on PA9 (to the host) and PA10, 115200 8N1. Ticks: DWT's cycle counter where it
 * counts, else TIM2. QEMU has no DWT; started with -icount shift=0, its TIM2 ticks once for each
 * executed instruction. */
#include "board.h"

#include "clock.h"
#include "registers.h"

#define BAUD 115200u

static clock_rates rates;
static const volatile uint32_t *ticks; /* the register that counts */

clock_rates clock_now(void) {
    return rates;
}

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

static bool line_has_something(void) {
    return (USART1_SR & (USART_SR_RXNE | USART_SR_ORE)) != 0;
}

bool board_waiting(void) {
    return line_has_something();
}

int board_getc(void) {
    for (;;) {
        const uint32_t status = USART1_SR;
        if ((status & (USART_SR_RXNE | USART_SR_ORE)) == 0) {
            core_sleep_until(line_has_something, USART1_INTERRUPT);
            continue;
        }
        const uint8_t byte = (uint8_t)USART1_DR; /* also ends an overrun */
        if ((status & USART_SR_RXNE) != 0)
            return byte;
    }
}

/* Waits for some byte times at most: a fault may have something to tell before the line is on. */
static void wait_for_line(uint32_t flag) {
    for (uint32_t patience = 100000; patience > 0 && (USART1_SR & flag) == 0; patience--) {
    }
}

void board_putc(uint8_t byte) {
    wait_for_line(USART_SR_TXE);
    USART1_DR = byte;
}

void board_flush(void) {
    wait_for_line(USART_SR_TC);
}

/* Sixteen samples a bit, so at least 16 clocks (RM0090, 30.3.4). Of 16 and more the nearest whole
 * number is off by 3 % at most; what is off by more than 2 is refused. */
bool board_baud(uint32_t baud, bool set) {
    const uint32_t rate = baud == 0 ? BAUD : baud;
    const uint32_t clocks = rate > rates.apb2 ? 0 : (rates.apb2 + rate / 2) / rate;
    if (clocks < 16 || clocks > 0xFFFF)
        return false;
    const uint32_t real = rates.apb2 / clocks;
    if ((real > rate ? real - rate : rate - real) > rate / 50)
        return false;
    if (set)
        USART1_BRR = clocks;
    return true;
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
