/* boards/stm32f405 - the sensor is analog: channels on PA0 to PA5, 12 bits, the range's middle is
 * 0. TIM3 starts a scan at the rate, DMA writes round and round; nobody is interrupted. In QEMU,
 * which has neither, it is the host's file that semihosting names (Arm IHI 0042 "Semihosting for
 * AArch32"), of int16, the lower byte first, played from its beginning at each board_sensor_begin()
 * and as fast as it is fetched.
 *
 * Pins: PB7 timestamp, PB8 detected, PB9 processing. */
#include "board.h"

#include "clock.h"
#include "registers.h"

#define MOST_CHANNELS 6u
#define MOST_A_SECOND 200000u /* conversions: each takes 96 clocks of 21 MHz */
#define LAP 2048u             /* values that the DMA has room for, at most */
#define PATH 512u             /* bytes of the file's, its end included */

/* Semihosting's operations; mode 1 of the first is "rb". */
#define HOST_OPEN 0x01u
#define HOST_CLOSE 0x02u
#define HOST_READ 0x06u
#define HOST_COMMAND_LINE 0x15u

static volatile uint16_t written[LAP];

static struct {
    uint32_t rate, channels;
    uint32_t lap;    /* values: whole samples */
    uint32_t next;   /* the place of the next one to fetch */
    uint32_t left;   /* values that the last look did not fetch */
    uint32_t micros; /* when that was */
    uint32_t file;   /* its handle */
    bool open, emulated;
} state;

static void start_scans(void) {
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOA | RCC_AHB1ENR_DMA2;
    RCC_APB1ENR |= RCC_APB1ENR_TIM3;
    RCC_APB2ENR |= RCC_APB2ENR_ADC1;
    (void)RCC_APB2ENR;
    uint32_t order = 0, sampling = 0;
    for (uint32_t i = 0; i < state.channels; i++) {
        order |= i << (5u * i);
        sampling |= UINT32_C(4) << (3u * i); /* 84 clocks */
        GPIOA_MODER |= UINT32_C(3) << (2u * i);
    }
    DMA2_S0CR = 0;
    while ((DMA2_S0CR & DMA_SCR_EN) != 0) {
    }
    DMA2_LIFCR = DMA2_LIFCR_STREAM0;
    DMA2_S0PAR = ADC1_DR_ADDRESS;
    DMA2_S0M0AR = (uint32_t)(uintptr_t)written;
    DMA2_S0NDTR = state.lap;
    DMA2_S0CR = DMA_SCR_CIRC | DMA_SCR_MINC | DMA_SCR_HALVES | DMA_SCR_EN;
    ADC_CCR = ADC_CCR_DIV4;
    ADC1_CR1 = ADC_CR1_SCAN;
    ADC1_SMPR2 = sampling;
    ADC1_SQR1 = (state.channels - 1u) << ADC_SQR1_L;
    ADC1_SQR3 = order;
    ADC1_CR2 = ADC_CR2_ADON | ADC_CR2_DMA | ADC_CR2_DDS | ADC_CR2_ALIGN | ADC_CR2_TIM3;
    const uint32_t clocks = clock_now().timer / state.rate, divide_by = (clocks >> 16) + 1u;
    TIM_PSC(TIM3_BASE) = divide_by - 1u;
    TIM_ARR(TIM3_BASE) = clocks / divide_by - 1u;
    TIM_CR2(TIM3_BASE) = TIM_CR2_UPDATE_OUT;
    TIM_EGR(TIM3_BASE) = TIM_EGR_UG;
    TIM_CR1(TIM3_BASE) = TIM_CR1_CEN;
}

/* Where there is no semihosting, its breakpoint is a hard fault: go on behind it, with 0 in r0. */
static __attribute__((naked)) void host_is_absent(void) {
    __asm__ volatile("ldr r1, [sp, #24]\n\t"
                     "adds r1, #2\n\t"
                     "str r1, [sp, #24]\n\t"
                     "movs r1, #0\n\t"
                     "str r1, [sp]\n\t"
                     "bx lr");
}

typedef void (*vector)(void);
static const vector absent_vectors[16] __attribute__((aligned(128))) = {[3] = host_is_absent};

static uint32_t call_host(uint32_t operation, const void *arguments) {
    const uint32_t usual = SCB_VTOR;
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    SCB_VTOR = (uint32_t)(uintptr_t)absent_vectors;
    __asm__ volatile("dsb\n\tbkpt 0xAB" : "+r"(r0), "+r"(r1)::"memory");
    SCB_VTOR = usual;
    return r0;
}

static bool open_file(void) {
    char path[PATH];
    path[0] = '\0';
    const uint32_t line[2] = {(uint32_t)(uintptr_t)path, sizeof path};
    if (call_host(HOST_COMMAND_LINE, line) != 0)
        return false;
    uint32_t length = 0;
    while (length < sizeof path && path[length] != '\0')
        length++;
    if (length == 0 || length == sizeof path)
        return false;
    const uint32_t open[3] = {line[0], 1, length};
    state.file = call_host(HOST_OPEN, open);
    return state.file != 0 && state.file != UINT32_MAX;
}

bool board_sensor_begin(uint32_t rate, uint32_t channels) {
    board_sensor_end();
    state.emulated = clock_now().core == 0;
    if (rate == 0 || channels == 0)
        return false;
    if (!state.emulated && (channels > MOST_CHANNELS || rate > MOST_A_SECOND / channels))
        return false;
    state.rate = rate;
    state.channels = channels;
    state.lap = LAP / channels * channels;
    state.next = state.left = 0;
    state.micros = board_micros();
    state.open = !state.emulated || open_file();
    if (!state.emulated)
        start_scans();
    return state.open;
}

/* The host says how many bytes it did not read. What is no whole sample at the file's end is none.
 */
static int32_t read_file(int16_t *values, uint32_t most) {
    const uint32_t size = most * (uint32_t)sizeof *values;
    const uint32_t read[3] = {state.file, (uint32_t)(uintptr_t)values, size};
    const uint32_t missing = size > 0 ? call_host(HOST_READ, read) : 0;
    if (missing > size)
        return -1;
    const uint32_t count = (size - missing) / (uint32_t)sizeof *values;
    return count < state.channels && size > 0 ? -1
                                              : (int32_t)(count / state.channels * state.channels);
}

/* About how many values were written since the last look: the DMA may have gone round meanwhile. */
static uint32_t since_last_look(void) {
    const uint32_t now = board_micros(), passed = now - state.micros;
    state.micros = now;
    const uint32_t seconds = passed / 1000000u, rest = passed % 1000000u;
    return (seconds * state.rate + rest / 64u * state.rate / 15625u) * state.channels;
}

static int32_t read_scans(int16_t *values, uint32_t most, uint32_t *lost) {
    const uint32_t about = state.left + since_last_look();
    const uint32_t place = (state.lap - DMA2_S0NDTR) / state.channels * state.channels % state.lap;
    if (about + state.lap / 8u >= state.lap) { /* what lies there may be newer than it should be */
        *lost = about;
        state.next = place;
        state.left = 0;
        return 0;
    }
    const uint32_t there = (place + state.lap - state.next) % state.lap;
    const uint32_t count = there < most ? there : most;
    for (uint32_t i = 0; i < count; i++) {
        values[i] = (int16_t)(written[state.next] ^ 0x8000u);
        state.next = state.next + 1u == state.lap ? 0 : state.next + 1u;
    }
    state.left = there - count;
    return (int32_t)count;
}

int32_t board_sensor_read(int16_t *values, uint32_t most, uint32_t *lost) {
    if (!state.open)
        return -1;
    most = most / state.channels * state.channels;
    return state.emulated ? read_file(values, most) : read_scans(values, most, lost);
}

void board_sensor_end(void) {
    if (!state.open)
        return;
    state.open = false;
    if (state.emulated) {
        (void)call_host(HOST_CLOSE, &state.file);
    } else {
        TIM_CR1(TIM3_BASE) = 0;
        ADC1_CR2 = 0;
        DMA2_S0CR = 0;
    }
}

void board_set_pin(board_pin pin, bool high) {
    static const uint8_t numbers[] = {7, 9, 8};
    const uint32_t number = numbers[pin];
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOB;
    (void)RCC_AHB1ENR;
    GPIOB_BSRR = BIT(number + (high ? 0u : 16u));
    GPIOB_MODER = (GPIOB_MODER & ~(UINT32_C(3) << (2u * number))) | UINT32_C(1) << (2u * number);
}
