/* sum[o] = sum_i in[i] * w[o][i]; in, w: int16. Nearly one instruction a product (mac16.h), and
 * each weight takes two bytes for that. */
#include "tile_mac16.h"

#include "../../mac16.h"
#include "nano/ops.h"

#define OUTPUTS NANO_MAC16_ROWS

/* Where a term is. */
static inline uint32_t place(uint32_t term) {
    return (term & ~3u) | (term << 1 & 2u) | (term >> 1 & 1u);
}

#if NANO_MAC16_NATIVE
/* `n` fours of inputs, aligned to 4 bytes. */
static void put_words(int16_t *out, const int8_t *in, uint32_t n) {
    typedef uint32_t __attribute__((may_alias)) word;
    const word *from = (const word *)(const void *)in;
    word *to = (word *)(void *)out;
    for (; n > 0; n--, to += 2) {
        const uint32_t four = *from++ ^ 0x80808080u;
        to[0] = four & 0x00FF00FFu;
        to[1] = four >> 8 & 0x00FF00FFu;
    }
}
#endif

static void put(nano_tile_scalar *tile, uint32_t k, uint32_t first, const int8_t *in, uint32_t n) {
    int16_t *const out = (int16_t *)tile->inputs;
    (void)k; /* there is one window */
#if NANO_MAC16_NATIVE
    if ((((uintptr_t)in | first) & 3u) == 0) {
        put_words(out + first, in, n / 4);
        in += n & ~3u;
        first += n & ~3u;
        n &= 3u;
    }
#endif
    for (const uint32_t end = first + n; first < end; first++)
        out[place(first)] = (uint8_t)((uint8_t)*in++ ^ 0x80u);
}

static void fill(nano_tile_scalar *tile, uint32_t k, uint32_t first, int32_t zero_point,
                 uint32_t n) {
    int16_t *const out = (int16_t *)tile->inputs;
    (void)k;
    for (const uint32_t end = first + n; first < end; first++)
        out[place(first)] = (int16_t)(zero_point + 128);
}

/* Outputs of sums whose scaling is wide. */
static void store_wide(const nano_tile_scalar *tile, const int32_t *scale, const int32_t *sum,
                       const int32_t *end, int8_t *out) {
    const int32_t offset = 2 * tile->store.zero_point + 1;
    for (; sum != end; sum++, scale += 2) {
        const nano_scaling_wide s = nano_scaling_wide_of(scale, offset);
        *out++ =
            nano_clamp(nano_requantize_wide_scalar(*sum, &s), tile->store.min, tile->store.max);
    }
}

static void compute(const nano_tile_scalar *tile) {
    const uint32_t fours = (tile->terms + 3) / 4;
    const int16_t *w = (const int16_t *)tile->weights;
    const int32_t *scale = tile->scales;
    int8_t *out = tile->out;
    for (uint32_t left = tile->outputs, n; left > 0; left -= n, out += n) {
        int32_t sum[OUTPUTS];
        nano_mac16_rows(w, (const int16_t *)tile->inputs, fours, sum);
        w += (size_t)OUTPUTS * 4 * fours;
        n = left < OUTPUTS ? left : OUTPUTS;
        (tile->wide ? store_wide : nano_tile_store)(tile, scale, sum, sum + n, out);
        scale += tile->wide ? 2 * n : 3 * n;
    }
}

const nano_tile_kind nano_tile_mac16 = {.put = put, .fill = fill, .compute = compute, .windows = 1};
