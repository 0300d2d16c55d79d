/* front_end_proof.c - minutes of sound through the front ends on a board: a checksum of all features.
 * bench/front_end_proof.py makes its tables, front_ends.h, and the same sound. */
#include "../tests/c/check/check.h"

#include "nano/stream.h"

#include "front_ends.h"

NANO_ALIGNED static uint8_t bytes[16 * 1024];

static struct {
    uint32_t random, at; /* at: samples so far */
    int32_t level;
} sound;

/* The next sample. Every quarter of a second another kind, and another loudness. */
static int16_t next_sample(void) {
    sound.random = sound.random * 1664525u + 1013904223u;
    const uint32_t second = sound.at / PIECE, phase = sound.at % PIECE;
    const int32_t noise = (int32_t)(sound.random >> 16) - 32768;
    int32_t value = 0;
    if (phase == 0)
        sound.level = (int32_t)(1u << (sound.random >> 28)); /* 1 to 32768 */
    sound.at++;
    switch (second % 6) {
    case 0: /* noise */
        value = noise * sound.level / 32768;
        break;
    case 1: /* silence, or nearly */
        value = sound.level > 128 ? 0 : noise >> 15;
        break;
    case 2: /* a rising triangle: period 200 to 4 */
        value = (int32_t)(sound.at * (1 + phase / 64) % 256 * 256) - 32768;
        value = value * sound.level / 32768;
        break;
    case 3: /* clipped */
        value = noise * 8;
        break;
    case 4: /* clicks */
        value = phase % 997 == 0 ? 32767 : 0;
        break;
    default: /* the lowest value, which has no counterpart */
        value = phase & 64 ? -32768 : 32767;
    }
    return (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
}

static void prove(const char *name, const nano_front_end *kind, const void *params, uint32_t count) {
    static int16_t samples[997];
    static uint16_t features[128];
    uint32_t checksum = 2166136261u, windows = 0; /* FNV-1a */
    nano_arena arena;
    nano_arena_init(&arena, bytes, sizeof bytes);
    void *const state = kind->init(params, &arena);
    if (state == NULL)
        return;
    sound.random = 1;
    sound.at = 0;
    while (sound.at < SAMPLES) {
        uint32_t n = 0;
        while (n < 997 && sound.at < SAMPLES)
            samples[n++] = next_sample();
        for (uint32_t taken = 0; taken < n;) {
            int ready;
            taken += (uint32_t)kind->feed(state, samples + taken, n - taken, features, &ready);
            for (uint32_t i = 0; ready && i < count; i++)
                checksum = ((checksum ^ (features[i] & 255)) * 16777619u ^ features[i] >> 8) *
                           16777619u;
            windows += ready != 0;
        }
    }
    check_text(name);
    check_putc(' ');
    check_number((int32_t)windows);
    check_putc(' ');
    check_number((int32_t)(checksum >> 1)); /* a number that is not below 0 */
    check_putc('\n');
}

int main(void) {
    check_begin();
    PROVE_ALL
    check_text("end\n");
    board_flush();
    return 0;
}
