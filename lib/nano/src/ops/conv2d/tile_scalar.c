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

#if defined(__GNUC__)
#define ALIAS __attribute__((may_alias))
#else
#define ALIAS
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
#define SINGLES 2 /* outputs, of the last block, up to which each is computed by itself */

/* --- Inputs --- */

/* Term `first` of window k. */
static inline uint8_t *place(const nano_tile_scalar *tile, uint32_t k, uint32_t first) {
    uint8_t *const inputs = (uint8_t *)tile->inputs;
    return inputs + (NANO_TILE_PAIRED ? first * tile->windows + k : k * tile->terms + first);
}

static void put_row(nano_tile_scalar *tile, const int8_t *in) {
    typedef uint32_t ALIAS word;
    const uint32_t offset = 0x80808080u, bytes = 0x00ff00ffu;
    uint8_t *out = (uint8_t *)tile->inputs;
    uint32_t sum = 0;
    if (((uintptr_t)in | (uintptr_t)out | tile->terms) % 4 != 0) {
        nano_tile_put(tile, 0, 0, in, tile->terms);
        return;
    }
    for (uint32_t n = tile->terms; n > 0; n -= 4, in += 4, out += 4) {
        const uint32_t four = *(const word *)(const void *)in ^ offset;
        *(word *)(void *)out = four;
        const uint32_t halves = (four & bytes) + (four >> 8 & bytes);
        sum += (halves & 0xffff) + (halves >> 16);
    }
    tile->sums[0] -= (int32_t)(128 * sum);
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

/* Sums of two windows are assigned to: NOLINTBEGIN(bugprone-macro-parentheses) */
#define PRODUCT(weight, first, other)                                                              \
    do {                                                                                           \
        const int32_t v = weight;                                                                  \
        first += v * x;                                                                            \
        other += v * y;                                                                            \
    } while (0)
/* NOLINTEND(bugprone-macro-parentheses) */

#if NANO_TILE_PAIRED
/* sum[0..3] of one window and sum[4..7] of the other. */
IN_ORDER static void two(const uint8_t *w, const uint8_t *in, uint32_t terms, const int32_t *begin,
                         int32_t sum[2 * OUTPUTS]) {
    const uint8_t *const end = in + 2 * terms, *const fours = in + terms / 4 * 8;
    int32_t a = begin[0], b = a, c = a, d = a;
    int32_t e = begin[1], f = e, g = e, h = e;
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

/* One output of one window, sum[0], or of two, sum[0] and sum[OUTPUTS]. */
IN_ORDER static void single(const nano_tile_scalar *tile, const uint8_t *w, int32_t *sum) {
    enum { STEP = NANO_TILE_PAIRED ? 2 : 1 };
    const uint8_t *const end = w + tile->terms, *const pairs = w + tile->terms / 2 * 2;
    const uint8_t *in = (const uint8_t *)tile->inputs;
    int32_t a = tile->sums[0], b = tile->sums[1];
    if (tile->windows == 1) {
        for (; w != pairs; in += 2, w += 2) {
            a += in[0] * w[0];
            a += in[1] * w[1];
        }
        for (; w != end; in++, w++)
            a += *in * *w;
        sum[0] = a;
        return;
    }
    const uint8_t *second = in + (NANO_TILE_PAIRED ? 1 : tile->terms);
#define TERM(i)                                                                                    \
    do {                                                                                           \
        const int32_t v = w[i];                                                                    \
        a += in[STEP * (i)] * v;                                                                   \
        b += second[STEP * (i)] * v;                                                               \
    } while (0)
    for (; w != pairs; in += 2 * STEP, second += 2 * STEP, w += 2) {
        TERM(0);
        TERM(1);
    }
    for (; w != end; in += STEP, second += STEP, w++)
        TERM(0);
#undef TERM
    sum[0] = a;
    sum[OUTPUTS] = b;
}

INLINE void block(const nano_tile_scalar *tile, const uint8_t *w, int32_t sum[2 * OUTPUTS]) {
    const uint8_t *const inputs = (const uint8_t *)tile->inputs;
    if (tile->windows > 1)
        two(w, inputs, tile->terms, tile->sums, sum);
    else
        one(w, inputs, tile->terms, tile->sums, sum);
}

/* The last n outputs, where they are no block. */
NOINLINE static void rest(const nano_tile_scalar *tile, const uint8_t *w, uint32_t n,
                          int32_t sum[2 * OUTPUTS]) {
    for (; n > 0; n--, w += tile->terms)
        single(tile, w, sum++);
}

/* --- Few outputs of rows --- */

#define TERM(N, i)                                                                                 \
    do {                                                                                           \
        const int32_t x = in[i];                                                                   \
        a += x * w[(N) * (i)];                                                                     \
        if ((N) > 1)                                                                               \
            b += x * w[(N) * (i) + 1];                                                             \
        if ((N) > 2)                                                                               \
            c += x * w[(N) * (i) + 2];                                                             \
    } while (0)

/* N outputs of the row `in`. */
#define ROW(name, N)                                                                               \
    IN_ORDER static void name(const int8_t *w, const int8_t *in, uint32_t terms, int32_t *sum) {   \
        const int8_t *const end = in + terms, *const pairs = in + terms / 2 * 2;                   \
        int32_t a = 0, b = 0, c = 0;                                                               \
        for (; in != pairs; in += 2, w += 2 * (N)) {                                               \
            TERM(N, 0);                                                                            \
            TERM(N, 1);                                                                            \
        }                                                                                          \
        for (; in != end; in++, w += (N))                                                          \
            TERM(N, 0);                                                                            \
        sum[0] = a, sum[1] = b, sum[2] = c;                                                        \
    }
ROW(row_1, 1)
ROW(row_2, 2)
ROW(row_3, 3)
#undef TERM

#if NANO_TILE_PAIRED
#define TERM(N, i)                                                                                 \
    do {                                                                                           \
        const int32_t x = in[i], y = second[i];                                                    \
        PRODUCT(w[(N) * (i)], a, d);                                                               \
        if ((N) > 1)                                                                               \
            PRODUCT(w[(N) * (i) + 1], b, e);                                                       \
        if ((N) > 2)                                                                               \
            PRODUCT(w[(N) * (i) + 2], c, f);                                                       \
    } while (0)

/* N outputs of two rows. */
#define ROWS(name, N)                                                                              \
    IN_ORDER static void name(const int8_t *w, const int8_t *in, uint32_t terms, int32_t *sum) {   \
        const int8_t *second = in + terms, *const end = second, *const pairs = in + terms / 2 * 2; \
        int32_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0;                                          \
        for (; in != pairs; in += 2, second += 2, w += 2 * (N)) {                                  \
            TERM(N, 0);                                                                            \
            TERM(N, 1);                                                                            \
        }                                                                                          \
        for (; in != end; in++, second++, w += (N))                                                \
            TERM(N, 0);                                                                            \
        sum[0] = a, sum[1] = b, sum[2] = c;                                                        \
        sum[OUTPUTS] = d, sum[OUTPUTS + 1] = e, sum[OUTPUTS + 2] = f;                              \
    }
ROWS(rows_1, 1)
ROWS(rows_2, 2)
#undef TERM
#endif

static void few_sums(const nano_tile_scalar *tile, int32_t sum[2 * OUTPUTS]) {
    typedef void (*way)(const int8_t *w, const int8_t *in, uint32_t terms, int32_t *sum);
    static const way of_row[] = {row_1, row_2, row_3};
    const int8_t *const w = (const int8_t *)tile->weights;
    const uint32_t outputs = tile->outputs, terms = tile->terms;
#if NANO_TILE_PAIRED
    if (tile->windows > 1 && outputs < 3) {
        (outputs == 1 ? rows_1 : rows_2)(w, tile->rows, terms, sum);
        return;
    }
#endif
    for (uint32_t k = 0; k < tile->windows; k++)
        of_row[outputs - 1](w, tile->rows + k * terms, terms, sum + k * OUTPUTS);
}

/* --- Outputs --- */

/* nano_clamp(), a byte only at the end. */
static inline int8_t clamp(int32_t q, int32_t low, int32_t high) {
    q = q < low ? low : q;
    q = q > high ? high : q;
    return (int8_t)q;
}

/* Outputs of the sums before `end` of each window. `below`: as nano_scaled_scalar() takes it.
 */
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

INLINE void store_block(const nano_tile_scalar *tile, const int32_t *scale, const int32_t *sum,
                        uint32_t n, int8_t *out) {
    (tile->unit == 0 ? store_relu : store_signed)(tile, scale, sum, sum + n, out);
}

static void compute(const nano_tile_scalar *tile) {
    const int32_t *scale = tile->scales;
    const uint8_t *w = (const uint8_t *)tile->weights;
    int8_t *out = tile->out;
    uint32_t left = tile->outputs;
    int32_t sum[2 * OUTPUTS];
    for (uint32_t n; left > SINGLES; left -= n, scale += 3 * n, out += n) {
        n = left < OUTPUTS ? left : OUTPUTS;
        block(tile, w, sum);
        w += OUTPUTS * tile->terms;
        store_block(tile, scale, sum, n, out);
    }
    if (left > 0) {
        rest(tile, w, left, sum);
        store_block(tile, scale, sum, left, out);
    }
}

/* Output o from the sums of its block. */
static inline void store_wide(const nano_tile_scalar *tile, const int32_t *sum, uint32_t o) {
    const int32_t offset = 2 * tile->store.zero_point + 1;
    const nano_scaling_wide s = nano_scaling_wide_of(tile->scales + 2 * o, offset);
    for (uint32_t k = 0; k < tile->windows; k++)
        tile->out[k * tile->outputs + o] = /* as above: NOLINTNEXTLINE(*CallAndMessage) */
            nano_clamp(nano_requantize_wide_scalar(sum[k * OUTPUTS + o % OUTPUTS], &s),
                       tile->store.min, tile->store.max);
}

static inline void store_long(const nano_tile_scalar *tile, const int32_t *sum, uint32_t o) {
    const int32_t *const scale = tile->scales + 3 * o;
    for (uint32_t k = 0; k < tile->windows; k++) {
        /* as above: NOLINTNEXTLINE(*UndefinedBinaryOperatorResult) */
        const uint32_t acc = (uint32_t)sum[k * OUTPUTS + o % OUTPUTS] + (uint32_t)scale[0];
        const int32_t scaled = nano_scale((int32_t)acc, scale[1], scale[2]);
        tile->out[k * tile->outputs + o] = nano_store_result(scaled, &tile->store);
    }
}

/* Before output o: the sums of its block, where it is the first one. */
NOINLINE static void next_sums(const nano_tile_scalar *tile, uint32_t o, int32_t sum[2 * OUTPUTS]) {
    const uint8_t *const w = (const uint8_t *)tile->weights + o * tile->terms;
    if (o % OUTPUTS != 0)
        return;
    if (tile->outputs - o > SINGLES)
        block(tile, w, sum);
    else
        rest(tile, w, tile->outputs - o, sum);
}

static void compute_wide(const nano_tile_scalar *tile) {
    int32_t sum[2 * OUTPUTS]; /* of a block: they serve OUTPUTS turns of the loop */
    for (uint32_t o = 0; o < tile->outputs; o++) {
        next_sums(tile, o, sum);
        store_wide(tile, sum, o);
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
    .put_row = put_row,
    .fill = nano_tile_fill,
    .compute = nano_tile_compute,
    .windows = NANO_TILE_WINDOWS,
};

static void compute_long(const nano_tile_scalar *tile) {
    int32_t sum[2 * OUTPUTS]; /* as above */
    for (uint32_t o = 0; o < tile->outputs; o++) {
        next_sums(tile, o, sum);
        store_long(tile, sum, o);
    }
}

const nano_tile_kind nano_tile_long = {
    .put = nano_tile_put,
    .put_row = put_row,
    .fill = nano_tile_fill,
    .compute = compute_long,
    .windows = NANO_TILE_WINDOWS,
};

static void compute_few(const nano_tile_scalar *tile) {
    int32_t sum[2 * OUTPUTS];
    few_sums(tile, sum);
    if (!tile->wide)
        store_block(tile, tile->scales, sum, tile->outputs, tile->out);
    for (uint32_t o = 0; tile->wide && o < tile->outputs; o++)
        store_wide(tile, sum, o);
}

const nano_tile_kind nano_tile_few = {.compute = compute_few, .windows = NANO_TILE_WINDOWS};

static void compute_few_long(const nano_tile_scalar *tile) {
    int32_t sum[2 * OUTPUTS];
    few_sums(tile, sum);
    for (uint32_t o = 0; o < tile->outputs; o++)
        store_long(tile, sum, o);
}

const nano_tile_kind nano_tile_few_long = {
    .compute = compute_few_long,
    .windows = NANO_TILE_WINDOWS,
};
