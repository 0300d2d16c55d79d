/* sum[k][o] = begin[k] + sum_i in[k][i] * w[o][i], for four outputs o of one or two windows k; in,
 * w: uint8. A weight is loaded once for both windows, an input once for four outputs. */
#include "nano/ops.h"

#include "tile_scalar.h"

/* gcc would load and multiply far ahead, and spill what then fills the registers. */
#if defined(__GNUC__) && !defined(__clang__)
#define IN_ORDER __attribute__((noinline, optimize("no-schedule-insns")))
#else
#define IN_ORDER
#endif

/* A function's registers are its own: not those of what calls it, too. */
#if defined(__GNUC__)
#define NOINLINE __attribute__((noinline))
#define INLINE __attribute__((always_inline)) static inline
#else
#define NOINLINE
#define INLINE static inline
#endif

#define OUTPUTS 4 /* of a block */

/* --- Inputs --- */

/* Term `first` of window k. */
static inline uint8_t *place(const nano_tile_scalar *tile, uint32_t k, uint32_t first) {
    uint8_t *const inputs = (uint8_t *)tile->inputs;
    return inputs + (NANO_TILE_PAIRED ? first * tile->windows + k : k * tile->terms + first);
}

void nano_tile_put(nano_tile_scalar *tile, uint32_t k, uint32_t first, const int8_t *in,
                   uint32_t n) {
    const uint32_t step = NANO_TILE_PAIRED ? tile->windows : 1;
    uint8_t *out = place(tile, k, first);
    uint32_t sum = 0;
    for (; n >= 4; n -= 4, in += 4) {
        const uint32_t a = (uint8_t)in[0] ^ 0x80u, b = (uint8_t)in[1] ^ 0x80u;
        const uint32_t c = (uint8_t)in[2] ^ 0x80u, d = (uint8_t)in[3] ^ 0x80u;
        sum += a + b + c + d;
        *out = (uint8_t)a, out += step;
        *out = (uint8_t)b, out += step;
        *out = (uint8_t)c, out += step;
        *out = (uint8_t)d, out += step;
    }
    for (; n > 0; n--, out += step) {
        const uint32_t a = (uint8_t)*in++ ^ 0x80u;
        sum += a;
        *out = (uint8_t)a;
    }
    tile->sums[k] -= (int32_t)(128 * sum);
}

void nano_tile_fill(nano_tile_scalar *tile, uint32_t k, uint32_t first, int32_t zero_point,
                    uint32_t n) {
    const uint32_t step = NANO_TILE_PAIRED ? tile->windows : 1;
    uint8_t *out = place(tile, k, first);
    const int32_t value = zero_point + 128;
    tile->sums[k] -= 128 * value * (int32_t)n;
    for (; n > 0; n--, out += step)
        *out = (uint8_t)value;
}

/* --- Sums --- */

/* sum[] of one window. */
IN_ORDER static void one(const uint8_t *w, const uint8_t *in, uint32_t terms, const int32_t *begin,
                         int32_t sum[OUTPUTS]) {
    const uint8_t *const end = in + terms, *const fours = in + terms / 4 * 4;
    int32_t a = *begin, b = a, c = a, d = a;
#define TERM(i)                                                                                    \
    do {                                                                                           \
        const int32_t x = in[i];                                                                   \
        a += w[4 * (i)] * x;                                                                       \
        b += w[4 * (i) + 1] * x;                                                                   \
        c += w[4 * (i) + 2] * x;                                                                   \
        d += w[4 * (i) + 3] * x;                                                                   \
    } while (0)
    for (; in != fours; in += 4, w += 16) {
        TERM(0);
        TERM(1);
        TERM(2);
        TERM(3);
    }
    for (; in != end; in++, w += 4)
        TERM(0);
#undef TERM
    sum[0] = a;
    sum[1] = b;
    sum[2] = c;
    sum[3] = d;
}

#if NANO_TILE_PAIRED
/* sum[0..3] of one window and sum[4..7] of the other. */
IN_ORDER static void two(const uint8_t *w, const uint8_t *in, uint32_t terms, const int32_t *begin,
                         int32_t sum[2 * OUTPUTS]) {
    const uint8_t *const end = in + 2 * terms, *const fours = in + terms / 4 * 8;
    int32_t a = begin[0], b = a, c = a, d = a;
    int32_t e = begin[1], f = e, g = e, h = e;
/* `first` and `second` are assigned to: NOLINTBEGIN(bugprone-macro-parentheses) */
#define PRODUCT(weight, first, second)                                                             \
    do {                                                                                           \
        const int32_t v = weight;                                                                  \
        first += v * x;                                                                            \
        second += v * y;                                                                           \
    } while (0)
/* NOLINTEND(bugprone-macro-parentheses) */
#define TERM(i)                                                                                    \
    do {                                                                                           \
        const int32_t x = in[2 * (i)], y = in[2 * (i) + 1];                                        \
        PRODUCT(w[4 * (i)], a, e);                                                                 \
        PRODUCT(w[4 * (i) + 1], b, f);                                                             \
        PRODUCT(w[4 * (i) + 2], c, g);                                                             \
        PRODUCT(w[4 * (i) + 3], d, h);                                                             \
    } while (0)
    for (; in != fours; in += 8, w += 16) {
        TERM(0);
        TERM(1);
        TERM(2);
        TERM(3);
    }
    for (; in != end; in += 2, w += 4)
        TERM(0);
#undef TERM
#undef PRODUCT
    sum[0] = a;
    sum[1] = b;
    sum[2] = c;
    sum[3] = d;
    sum[4] = e;
    sum[5] = f;
    sum[6] = g;
    sum[7] = h;
}
#else
static void two(const uint8_t *w, const uint8_t *in, uint32_t terms, const int32_t *begin,
                int32_t sum[2 * OUTPUTS]) {
    one(w, in, terms, begin, sum);
    one(w, in + terms, terms, begin + 1, sum + OUTPUTS);
}
#endif

/* --- Outputs --- */

static void sums(const nano_tile_scalar *tile, const uint8_t *w, int32_t sum[2 * OUTPUTS]) {
    const uint8_t *const inputs = (const uint8_t *)tile->inputs;
    if (tile->windows > 1)
        two(w, inputs, tile->terms, tile->sums, sum);
    else
        one(w, inputs, tile->terms, tile->sums, sum);
}

/* nano_clamp(), a byte only at the end. */
static inline int8_t clamp(int32_t q, int32_t low, int32_t high) {
    q = q < low ? low : q;
    q = q > high ? high : q;
    return (int8_t)q;
}

/* Outputs of the sums before `end` of each window. `below`: as nano_scaled_scalar() takes it. */
INLINE void store(const nano_tile_scalar *tile, const int32_t *scale, const int32_t *sum,
                  const int32_t *end, int8_t *out, uint32_t below) {
    const int32_t low = tile->store.min, high = tile->store.max;
    if (tile->windows == 1) {
        for (; sum != end; sum++, scale += 3) {
            const nano_scaling s = nano_scaling_of(scale);
            *out++ = clamp(nano_requantize_scalar(*sum, &s, below), low, high);
        }
        return;
    }
    for (int8_t *second = out + tile->outputs; sum != end; sum++, scale += 3) {
        const nano_scaling s = nano_scaling_of(scale);
        *out++ = clamp(nano_requantize_scalar(sum[0], &s, below), low, high);
        /* windows is 1 or 2, and with 2 the sums are two(): NOLINTNEXTLINE(*CallAndMessage) */
        *second++ = clamp(nano_requantize_scalar(sum[OUTPUTS], &s, below), low, high);
    }
}

/* The same, where all that is negative is clamped to -128. */
NOINLINE static void store_relu(const nano_tile_scalar *tile, const int32_t *scale,
                                const int32_t *sum, const int32_t *end, int8_t *out) {
    store(tile, scale, sum, end, out, 0);
}

NOINLINE static void store_signed(const nano_tile_scalar *tile, const int32_t *scale,
                                  const int32_t *sum, const int32_t *end, int8_t *out) {
    store(tile, scale, sum, end, out, (uint32_t)1 << tile->unit);
}

static void compute(const nano_tile_scalar *tile) {
    const int32_t *scale = tile->scales;
    const uint8_t *w = (const uint8_t *)tile->weights;
    int8_t *out = tile->out;
    for (uint32_t left = tile->outputs, n; left > 0; left -= n, scale += 3 * n, out += n) {
        int32_t sum[2 * OUTPUTS];
        sums(tile, w, sum);
        w += OUTPUTS * tile->terms;
        n = left < OUTPUTS ? left : OUTPUTS;
        (tile->unit == 0 ? store_relu : store_signed)(tile, scale, sum, sum + n, out);
    }
}

static void compute_wide(const nano_tile_scalar *tile) {
    const int32_t offset = 2 * tile->store.zero_point + 1;
    const uint32_t outputs = tile->outputs;
    int32_t sum[2 * OUTPUTS]; /* of a block: they serve OUTPUTS turns of the loop */
    for (uint32_t o = 0; o < outputs; o++) {
        if (o % OUTPUTS == 0)
            sums(tile, (const uint8_t *)tile->weights + o * tile->terms, sum);
        const nano_scaling_wide s = nano_scaling_wide_of(tile->scales + 2 * o, offset);
        for (uint32_t k = 0; k < tile->windows; k++)
            tile->out[k * outputs + o] = /* as above: NOLINTNEXTLINE(*CallAndMessage) */
                nano_clamp(nano_requantize_wide_scalar(sum[k * OUTPUTS + o % OUTPUTS], &s),
                           tile->store.min, tile->store.max);
    }
}

void nano_tile_compute(const nano_tile_scalar *tile) {
    if (tile->wide)
        compute_wide(tile);
    else
        compute(tile);
}

const nano_tile_kind nano_tile_bytes = {
    .put = nano_tile_put,
    .fill = nano_tile_fill,
    .compute = nano_tile_compute,
    .windows = NANO_TILE_WINDOWS,
};

static void compute_long(const nano_tile_scalar *tile) {
    const uint32_t outputs = tile->outputs;
    int32_t sum[2 * OUTPUTS]; /* as above */
    for (uint32_t o = 0; o < outputs; o++) {
        if (o % OUTPUTS == 0)
            sums(tile, (const uint8_t *)tile->weights + o * tile->terms, sum);
        const int32_t *const scale = tile->scales + 3 * o;
        for (uint32_t k = 0; k < tile->windows; k++) {
            /* as above: NOLINTNEXTLINE(*UndefinedBinaryOperatorResult) */
            const uint32_t acc = (uint32_t)sum[k * OUTPUTS + o % OUTPUTS] + (uint32_t)scale[0];
            const int32_t scaled = nano_scale((int32_t)acc, scale[1], scale[2]);
            tile->out[k * outputs + o] = nano_store_result(scaled, &tile->store);
        }
    }
}

const nano_tile_kind nano_tile_long = {
    .put = nano_tile_put,
    .fill = nano_tile_fill,
    .compute = compute_long,
    .windows = NANO_TILE_WINDOWS,
};
