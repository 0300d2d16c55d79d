/* depthwise_conv2d.c's equation for windows of any size, pixel by pixel, 16 outputs at a time.
 *
 * They lie side by side in the image as in the weights, so one byte of a vector is one output's.
 * VMULLB and VMULLT make halves of the products of even and of odd bytes. Two of them, from two
 * taps, fit a half; then VMOVLB and VMOVLT make words of the even and of the odd halves: of sums[i]
 * lane k is that of output 4 k + i. */
#include "nano/ops.h"

#include "../../requant_mve.h"
#include "../../window.h"

#if NANO_MVE

/* So that the two kernels are compiled apart, with the sums in registers. */
#if defined(__GNUC__)
#define FORCED_INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#else
#define FORCED_INLINE inline
#define NOINLINE
#endif

#define OUTPUTS 16

#define NOTHING UINT32_MAX /* the place of a tap outside the image */

/* How the inputs of a block of outputs lie. */
enum { SIDE_BY_SIDE, FEW, SCATTERED };

/* A block of 1..16 outputs at work. */
typedef struct {
    const uint32_t *taps;  /* where each stands from `in` on, or NOTHING */
    uint32_t count;        /* of taps */
    int clipped;           /* 1: one of them is NOTHING */
    const int8_t *in;      /* the first tap inside the image */
    const int8_t *weights; /* [taps][16] */
    uint32_t outputs;      /* 16 where inputs are SIDE_BY_SIDE */
    int8_t zero[OUTPUTS];  /* zero points */
    const int8_t *places;  /* [16], of SCATTERED inputs, whose channels have several outputs */
} block;

typedef struct {
    nano_words of[4];
} block_sums;

static FORCED_INLINE nano_bytes inputs(const int8_t *in, nano_bytes places, uint32_t n, int how) {
    return how == SCATTERED ? nano_gather_few(in, places, n)
           : how == FEW     ? nano_load_few(in, n)
                            : nano_load16(in);
}

static FORCED_INLINE void add(block_sums *s, nano_shorts even, nano_shorts odd) {
    s->of[0] = nano_add4(s->of[0], nano_even_halves(even));
    s->of[1] = nano_add4(s->of[1], nano_even_halves(odd));
    s->of[2] = nano_add4(s->of[2], nano_odd_halves(even));
    s->of[3] = nano_add4(s->of[3], nano_odd_halves(odd));
}

static FORCED_INLINE void sums_of(const block *b, block_sums *sums, int how, int clipped) {
#define TAP(k) inputs(clipped &&tap[k] == NOTHING ? zero : in + tap[k], places, n, how)
    const nano_bytes places = how == SCATTERED ? nano_load16(b->places) : nano_fill16(0);
    const uint32_t *tap = b->taps, n = b->outputs;
    const int8_t *w = b->weights, *const in = b->in, *const zero = b->zero;
    block_sums s = {{nano_fill4(0), nano_fill4(0), nano_fill4(0), nano_fill4(0)}};
    for (uint32_t pairs = b->count / 2; pairs > 0; pairs--, tap += 2, w += 2 * OUTPUTS) {
        const nano_bytes x = TAP(0), v = nano_load16(w);
        nano_shorts even = nano_even_products(x, v), odd = nano_odd_products(x, v);
        NANO_MADE_HERE(even); /* there are eight registers */
        NANO_MADE_HERE(odd);
        const nano_bytes y = TAP(1), u = nano_load16(w + OUTPUTS);
        even = nano_add8(even, nano_even_products(y, u));
        odd = nano_add8(odd, nano_odd_products(y, u));
        add(&s, even, odd);
    }
    if (b->count % 2 != 0) {
        const nano_bytes x = TAP(0), v = nano_load16(w);
        add(&s, nano_even_products(x, v), nano_odd_products(x, v));
    }
    *sums = s;
#undef TAP
}

static NOINLINE void side_by_side(const block *b, block_sums *sums) {
    if (b->clipped)
        sums_of(b, sums, SIDE_BY_SIDE, 1);
    else
        sums_of(b, sums, SIDE_BY_SIDE, 0);
}

static NOINLINE void few(const block *b, block_sums *sums) {
    sums_of(b, sums, FEW, 1);
}

static NOINLINE void scattered(const block *b, block_sums *sums) {
    sums_of(b, sums, SCATTERED, 1);
}

/* Sums i and i + 2 as halves of outputs: those of the even and of the odd places. */
static FORCED_INLINE nano_shorts halves(const block_sums *s, const int32_t *scales, uint32_t i,
                                        int32_t zero_point, int relu) {
    const nano_words low = nano_scale_mve(s->of[i], scales + 8 * i, relu);
    const nano_words high = nano_scale_mve(s->of[i + 2], scales + 8 * (i + 2), relu);
    return nano_qadd8_all(nano_saturate_halves(low, high), (int16_t)zero_point);
}

static FORCED_INLINE void store(const block_sums *s, const int32_t *scales, int32_t zero_point,
                                int8_t *out, uint32_t count, int relu) {
    const nano_bytes q = nano_saturate_bytes(halves(s, scales, 0, zero_point, relu),
                                             halves(s, scales, 1, zero_point, relu));
    if (count < OUTPUTS)
        nano_store_few(out, q, count);
    else
        nano_store16(out, q);
}

/* All outputs of the pixel whose first tap inside the image is at `in`. */
static FORCED_INLINE void pixel(const nano_depthwise_conv2d_pixel_mve_params *p, block *b,
                                const int8_t *in, const int8_t *places, int8_t *out, int relu) {
    const uint32_t outputs = p->window.out_c, multiplier = outputs / p->window.in_c;
    const int32_t *scales = p->scales;
    b->weights = p->weights;
    b->in = in;
    for (uint32_t o = 0; o < outputs; o += OUTPUTS, scales += 2 * OUTPUTS) {
        block_sums sums;
        b->outputs = outputs - o < OUTPUTS ? outputs - o : OUTPUTS;
        if (multiplier > 1) {
            b->in = in + o / multiplier;
            b->places = places + o;
            scattered(b, &sums);
        } else if (b->outputs < OUTPUTS) {
            few(b, &sums);
        } else {
            side_by_side(b, &sums);
        }
        b->in += OUTPUTS;
        b->weights += OUTPUTS * b->count;
        store(&sums, scales, p->store.zero_point, out + o, b->outputs, relu);
    }
}

/* Where the inputs of the outputs of each block stand, from the first of them on. */
static NOINLINE void place_inputs(uint32_t outputs, uint32_t multiplier, int8_t *places) {
    for (uint32_t o = 0; o < outputs; o += OUTPUTS) {
        for (uint32_t k = 0; k < OUTPUTS; k++)
            *places++ = (int8_t)((o + k) / multiplier - o / multiplier);
    }
}

/* Where the taps of the windows like `v` stand. */
static NOINLINE void place_taps(const nano_window *w, const nano_view *v, block *b,
                                uint32_t *taps) {
    const uint32_t rows = v->rows.end - v->rows.begin, columns = v->columns.end - v->columns.begin;
    for (uint32_t i = 0; i < w->kernel_h; i++) {
        const uint32_t row = i - v->rows.begin;
        for (uint32_t j = 0; j < w->kernel_w; j++) {
            const uint32_t column = j - v->columns.begin;
            const int inside = row < rows && column < columns;
            *taps++ = inside ? row * v->row_step + column * v->step : NOTHING;
        }
    }
    b->clipped = rows * columns != b->count;
}

static FORCED_INLINE void depthwise(const nano_depthwise_conv2d_pixel_mve_params *p,
                                    const nano_io *io, int relu) {
    const nano_window *const w = &p->window;
    const uint32_t count = (uint32_t)w->kernel_h * w->kernel_w;
    uint32_t *const taps = (uint32_t *)io->scratch;
    int8_t *const places = (int8_t *)(taps + count), *out = (int8_t *)io->out;
    block b = {.taps = taps, .count = count};
    if (w->out_c > w->in_c)
        place_inputs(w->out_c, w->out_c / w->in_c, places);
    nano_fill_mve(b.zero, (int8_t)p->in_zero_point, OUTPUTS);
    for (uint32_t y = 0; y < w->out_h; y++) {
        const nano_taps rows = nano_clip_rows(w, y);
        nano_view v = {rows, rows, 0, 0, 0};
        for (uint32_t x = 0; x < w->out_w; x++, out += w->out_c) {
            if (!nano_look_next(w, rows, y, x, &v))
                place_taps(w, &v, &b, taps);
            pixel(p, &b, (const int8_t *)io->in[0] + v.start, places, out, relu);
        }
    }
    if (p->store.min > -128 || p->store.max < 127)
        nano_clamp_mve((int8_t *)io->out, (uint32_t)w->out_h * w->out_w * w->out_c, p->store.min,
                       p->store.max);
}

void nano_depthwise_conv2d_pixel_mve(const void *params, const nano_io *io) {
    depthwise((const nano_depthwise_conv2d_pixel_mve_params *)params, io, 0);
}

void nano_depthwise_conv2d_pixel_relu_mve(const void *params, const nano_io *io) {
    depthwise((const nano_depthwise_conv2d_pixel_mve_params *)params, io, 1);
}

#endif
