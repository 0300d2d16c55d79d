/* out[o] = scaled(sum_i in[i] * w[o][i]); in, w: int16. Nearly one instruction a product (mac16.h),
 * and each weight takes two bytes for that; or two a product, and a byte a weight. */
#include "tile_mac16.h"

#include "../../mac16_bytes.h"
#include "nano/ops.h"

/* --- Inputs: one window --- */

static void put(nano_tile_scalar *tile, uint32_t k, uint32_t first, const int8_t *in, uint32_t n) {
    int16_t *out = (int16_t *)tile->inputs + first;
    (void)k;
    for (; n >= 4; n -= 4, in += 4, out += 4) {
        const uint32_t a = (uint8_t)in[0] ^ 0x80u, b = (uint8_t)in[1] ^ 0x80u;
        const uint32_t c = (uint8_t)in[2] ^ 0x80u, d = (uint8_t)in[3] ^ 0x80u;
        out[0] = (int16_t)a;
        out[1] = (int16_t)b;
        out[2] = (int16_t)c;
        out[3] = (int16_t)d;
    }
    for (; n > 0; n--)
        *out++ = (int16_t)((uint8_t)*in++ ^ 0x80u);
}

/* `in`, `first` and n are whole words. */
static void put_words(nano_tile_scalar *tile, uint32_t k, uint32_t first, const int8_t *in,
                      uint32_t n) {
    int16_t *const out = (int16_t *)tile->inputs + first;
    (void)k;
#if NANO_MAC16_NATIVE
    typedef uint32_t __attribute__((may_alias)) word;
    const word *from = (const word *)(const void *)in;
    for (word *to = (word *)(void *)out; n > 0; n -= 4, to += 2) {
        const uint32_t four = *from++ ^ 0x80808080u;
        to[0] = four & 0x00FF00FFu;
        to[1] = four >> 8 & 0x00FF00FFu;
    }
#else
    for (uint32_t i = 0; i < n; i++)
        out[(i & ~3u) | (i << 1 & 2u) | (i >> 1 & 1u)] = (int16_t)((uint8_t)in[i] ^ 0x80u);
#endif
}

static void fill(nano_tile_scalar *tile, uint32_t k, uint32_t first, int32_t zero_point,
                 uint32_t n) {
    int16_t *out = (int16_t *)tile->inputs + first;
    (void)k;
    for (; n > 0; n--)
        *out++ = (int16_t)(zero_point + 128);
}

/* --- Outputs --- */

static void compute_wide(const nano_tile_scalar *tile, uint32_t fours) {
    const int32_t offset = 2 * tile->store.zero_point + 1;
    const int16_t *w = (const int16_t *)tile->weights;
    for (uint32_t o = 0; o < tile->outputs; o++, w += 4 * fours) {
        const nano_scaling_wide s = nano_scaling_wide_of(tile->scales + 2 * o, offset);
        const int32_t sum = nano_mac16_sum(w, (const int16_t *)tile->inputs, fours);
        tile->out[o] =
            nano_clamp(nano_requantize_wide_scalar(sum, &s), tile->store.min, tile->store.max);
    }
}

static void compute(const nano_tile_scalar *tile) {
    const uint32_t fours = (tile->terms + 3) / 4;
    if (tile->wide) {
        compute_wide(tile, fours);
        return;
    }
    nano_mac16_job job = {.w = (const int16_t *)tile->weights, .x = (const int16_t *)tile->inputs};
    job.scales = tile->scales;
    job.out = tile->out;
    job.fours = fours;
    job.rows = tile->outputs;
    job.below = tile->unit == 0 ? 0 : (uint32_t)1 << tile->unit;
    job.min = tile->store.min;
    job.max = tile->store.max;
    nano_mac16_outputs(&job);
}

/* --- Outputs of weights that are bytes --- */

static void compute_bytes_wide(const nano_tile_scalar *tile, const nano_mac16_bytes_job *job) {
    const int32_t offset = 2 * tile->store.zero_point + 1;
    const int32_t min = tile->store.min, max = tile->store.max;
    const uint32_t step = 8 * job->eights + 4 * job->four;
    const int32_t *scale = tile->scales;
    const uint8_t *w = job->w;
    int8_t *out = tile->out;
    for (const int8_t *const end = out + tile->outputs; out != end; w += step, scale += 2) {
        const int32_t sum = nano_mac16_bytes_sum(job, w);
        const nano_scaling_wide s = nano_scaling_wide_of(scale, offset);
        *out++ = nano_clamp(nano_requantize_wide_scalar(sum, &s), min, max);
    }
}

static void compute_bytes(const nano_tile_scalar *tile) {
    const uint32_t fours = (tile->terms + 3) / 4;
    int16_t *const x = (int16_t *)tile->inputs;
    nano_mac16_bytes_job job = {.w = (const uint8_t *)tile->weights, .x = x};
    for (uint32_t i = tile->terms; i < 4 * fours; i++)
        x[i] = 0;
    job.less = nano_mac16_bytes_less(x, 2 * fours);
    job.eights = fours / 2;
    job.four = fours % 2;
    if (tile->wide) {
        compute_bytes_wide(tile, &job);
        return;
    }
    job.scales = tile->scales;
    job.out = tile->out;
    job.rows = tile->outputs;
    job.below = tile->unit == 0 ? 0 : (uint32_t)1 << tile->unit;
    job.min = tile->store.min;
    job.max = tile->store.max;
    nano_mac16_bytes_outputs(&job);
}

const nano_tile_kind *nano_tile_mac16(uint32_t together) {
    static const nano_tile_kind bytes = {put, fill, compute, 1, 0};
    static const nano_tile_kind words = {put_words, fill, compute, 1, 0};
    return together % 4 == 0 ? &words : &bytes;
}

const nano_tile_kind *nano_tile_bytes_mac16(uint32_t together) {
    static const nano_tile_kind bytes = {put, fill, compute_bytes, 1, 0};
    static const nano_tile_kind words = {put_words, fill, compute_bytes, 1, 0};
    return together % 4 == 0 ? &words : &bytes;
}
