/* out[o] = scaled(sum_i in[i] * w[o][i]); sixteen products an instruction (pie.h). */
#include "tile_pie.h"

#include "../../pie.h"
#include "nano/ops.h"

#if NANO_PIE_NATIVE
/* All whole words of n bytes, which are aligned, four at a time; how many bytes that are. */
static uint32_t put_words(int8_t *to, const int8_t *from, uint32_t n) {
    typedef uint32_t __attribute__((may_alias)) word;
    word *out = (word *)(void *)to;
    const word *in = (const word *)(const void *)from, *const words = in + n / 4;
    for (const word *const end = in + n / 16 * 4; in != end; in += 4, out += 4) {
        const uint32_t a = in[0], b = in[1], c = in[2], d = in[3];
        out[0] = a, out[1] = b, out[2] = c, out[3] = d;
    }
    while (in != words)
        *out++ = *in++;
    return n & ~3u;
}

/* n words. */
static void fill_words(int8_t *to, uint32_t value, uint32_t n) {
    typedef uint32_t __attribute__((may_alias)) word;
    word *out = (word *)(void *)to, *const end = out + n;
    for (const word *const fours = out + n / 4 * 4; out != fours; out += 4)
        out[0] = value, out[1] = value, out[2] = value, out[3] = value;
    while (out != end)
        *out++ = value;
}
#endif

static void put(nano_tile_scalar *tile, uint32_t k, uint32_t first, const int8_t *in, uint32_t n) {
    int8_t *out = (int8_t *)tile->inputs + first;
    const int8_t *const end = in + n;
    (void)k;
#if NANO_PIE_NATIVE
    if ((((uintptr_t)in | first) & 3) == 0) {
        const uint32_t done = put_words(out, in, n);
        out += done, in += done;
        if (in == end)
            return;
    }
#endif
    for (const int8_t *const fours = in + (end - in) / 4 * 4; in != fours; in += 4, out += 4) {
        const int8_t a = in[0], b = in[1], c = in[2], d = in[3];
        out[0] = a, out[1] = b, out[2] = c, out[3] = d;
    }
    while (in != end)
        *out++ = *in++;
}

static void fill(nano_tile_scalar *tile, uint32_t k, uint32_t first, int32_t zero_point,
                 uint32_t n) {
    int8_t *out = (int8_t *)tile->inputs + first;
    (void)k;
#if NANO_PIE_NATIVE
    if ((first & 3) == 0) {
        fill_words(out, (uint8_t)zero_point * 0x01010101u, n / 4);
        out += n & ~3u;
        n &= 3;
    }
#endif
    for (; n > 0; n--)
        *out++ = (int8_t)zero_point;
}

static void compute(const nano_tile_scalar *tile) {
    const uint32_t sixteens = (tile->terms + 15) / 16;
    int8_t *const x = (int8_t *)tile->inputs;
    for (uint32_t i = tile->terms; i < 16 * sixteens; i++)
        x[i] = 0;
    nano_pie_job job = {.w = (const int8_t *)tile->weights, .x = x, .scales = tile->scales};
    job.out = tile->out;
    job.sixteens = sixteens;
    job.rows = tile->outputs;
    job.zero = 2 * tile->store.zero_point + 1;
    job.min = tile->store.min;
    job.max = tile->store.max;
    nano_pie_outputs(&job);
}

const nano_tile_kind nano_tile_pie = {put, fill, compute, 1, 0};
