/* front_ends.c - what the front ends cost on a board: ticks of a transform, of a frame. Its tables
 * are front_ends.h, which bench/front_ends.py makes. It compiles both, runs them in an emulator,
 * and reads the lines: `name ticks`. */
#include "../tests/c/check/check.h"

#include "nano/signal/fft.h"
#include "nano/signal/fft32.h"
#include "nano/stream.h"

#include "front_ends.h"

#define FRAMES 20 /* in front of the one that is counted */
#define LOUDNESS 8000

NANO_ALIGNED static uint8_t bytes[16 * 1024];
static int16_t narrow[1026];
static int32_t wide[1026];

static void tell(const char *name, uint32_t ticks) {
    check_text(name);
    check_putc(' ');
    check_number((int32_t)ticks);
    check_putc('\n');
}

static void transform(const char *name, const nano_fft *fft) {
    uint32_t random = 1;
    for (uint32_t i = 0; i < fft->size; i++)
        narrow[i] = (int16_t)check_between(&random, -LOUDNESS, LOUDNESS);
    const uint32_t begin = board_ticks();
    nano_real_fft(fft, narrow);
    tell(name, board_ticks() - begin);
}

static void transform32(const char *name, const nano_fft32 *fft) {
    uint32_t random = 1;
    const int32_t most = (int32_t)((1u << 29) / fft->size);
    for (uint32_t i = 0; i < fft->size; i++)
        wide[i] = check_between(&random, -most, most);
    const uint32_t begin = board_ticks();
    nano_real_fft32(fft, wide);
    tell(name, board_ticks() - begin);
}

/* The samples of a step and what becomes of them: one frame. */
static void frame(const char *name, const nano_front_end *kind, const void *params, uint32_t step) {
    static int16_t samples[1024];
    static uint16_t features[64];
    uint32_t random = 1, ticks = 0;
    nano_arena arena;
    nano_arena_init(&arena, bytes, sizeof bytes);
    void *const state = kind->init(params, &arena);
    if (state == NULL)
        return;
    for (int i = 0; i < FRAMES; i++) {
        for (uint32_t k = 0; k < step; k++)
            samples[k] = (int16_t)check_between(&random, -LOUDNESS, LOUDNESS);
        const uint32_t begin = board_ticks();
        for (uint32_t taken = 0; taken < step;) {
            int ready;
            taken += (uint32_t)kind->feed(state, samples + taken, step - taken, features, &ready);
        }
        ticks = board_ticks() - begin;
    }
    tell(name, ticks);
}

int main(void) {
    check_begin();
    MEASURE_ALL
    check_text("end\n");
    board_flush();
    return 0;
}
