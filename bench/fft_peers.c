/* fft_peers.c - what other libraries' real FFTs take: ticks of a transform of the same samples as in
 * front_ends.c. bench/fft_peers.py compiles it with one of them, and reads the lines. */
#include "../tests/c/check/check.h"

#include "peer.h"

#define LOUDNESS 8000

static void tell(const char *name, uint32_t size, uint32_t ticks) {
    check_text(name);
    check_number((int32_t)size);
    check_putc(' ');
    check_number((int32_t)ticks);
    check_putc('\n');
}

#if defined(KISSFFT)

#if FIXED_POINT == 16
#define NAME "kissfft_16_"
#define MOST LOUDNESS
#else
#define NAME "kissfft_32_"
#define MOST (1 << 20)
#endif

static uint64_t bytes[4096];
static kiss_fft_scalar samples[1024];
static kiss_fft_cpx bins[513];

static void measure(uint32_t size) {
    uint32_t random = 1;
    size_t room = sizeof bytes;
    const kiss_fftr_cfg made = kiss_fftr_alloc((int)size, 0, bytes, &room);
    if (made == NULL)
        return;
    for (uint32_t i = 0; i < size; i++)
        samples[i] = (kiss_fft_scalar)check_between(&random, -MOST, MOST);
    const uint32_t begin = board_ticks();
    kiss_fftr(made, samples, bins);
    tell(NAME, size, board_ticks() - begin);
}

#else

static q15_t narrow[1024], narrow_bins[2048];
static q31_t wide[1024], wide_bins[2048];

static void measure(uint32_t size) {
    uint32_t random = 1;
    arm_rfft_instance_q15 q15;
    arm_rfft_instance_q31 q31;
    if (arm_rfft_init_q15(&q15, size, 0, 1) || arm_rfft_init_q31(&q31, size, 0, 1))
        return;
    for (uint32_t i = 0; i < size; i++) {
        narrow[i] = (q15_t)check_between(&random, -LOUDNESS, LOUDNESS);
        wide[i] = check_between(&random, -(1 << 20), 1 << 20);
    }
    uint32_t begin = board_ticks();
    arm_rfft_q15(&q15, narrow, narrow_bins);
    tell("cmsis_dsp_16_", size, board_ticks() - begin);
    begin = board_ticks();
    arm_rfft_q31(&q31, wide, wide_bins);
    tell("cmsis_dsp_32_", size, board_ticks() - begin);
}

#endif

int main(void) {
    check_begin();
    for (uint32_t size = 64; size <= 1024; size *= 2)
        measure(size);
    check_text("end\n");
    board_flush();
    return 0;
}
