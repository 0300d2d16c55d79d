/* host_kernels.h - the kernels of host.h (internal), compiled by host.c and by host_avx2.c, which
 * say with KERNEL(name) what they are called there.
 *
 * acc[o] = bias[o] + sum_k patch[k] * w[o][k]. A pixel's patch, its inputs in the order of the
 * weights, is gathered as int16 first; then two terms of eight outputs are one step. Four pixels
 * are done at a time: a step's weights are read once for all. They are gathered before any of their
 * outputs is written, which may lie over the input of those before. */
#include "host.h"

#include "sum.h"
#include "window.h"

#include "host_vectors.h"

#define PIXELS 4          /* patches at a time */
#define MOST_CHANNELS 512 /* of as many pixels, where a result in between lies on the stack */

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* int16 of a patch with `terms` terms: one more where that completes a pair. */
static uint32_t padded(uint32_t terms) {
    return terms + terms % 2;
}

/* --- Sums ---------------------------------------------------------------------------------- */

/* acc[pixel][block]: the sums of `pixels` patches, `apart` int16 from one to the next, and `blocks`
 * blocks of weights. */
INLINE void sums(uint32_t pixels, uint32_t blocks, const int16_t *patch, uint32_t apart,
                 const int16_t *w, uint32_t pairs, lanes acc[]) {
    for (uint32_t i = 0; i < pixels * blocks; i++)
        acc[i] = zeros();
    for (uint32_t k = 0; k < pairs; k++) {
        for (uint32_t b = 0; b < blocks; b++) {
            for (uint32_t p = 0; p < pixels; p++)
                acc[p * blocks + b] = add_pair(acc[p * blocks + b], patch + p * apart + 2 * k,
                                               w + 2 * LANES * (b * pairs + k));
        }
    }
}

/* `count` outputs of a block, of which `at` is the first lane. */
INLINE void finish(lanes acc, const nanotool_host_rows *rows, uint32_t at,
                   const nano_requant *requant, int8_t *out, uint32_t count) {
    const lanes scaled = scale(add(acc, load(rows->bias + at)), load(rows->multiplier + at),
                               load(rows->left + at), load(rows->right + at));
    if (count >= LANES) {
        narrow(scaled, requant->zero_point, requant->min, requant->max, out);
        return;
    }
    int8_t some[LANES];
    narrow(scaled, requant->zero_point, requant->min, requant->max, some);
    memcpy(out, some, count);
}

/* The outputs of `pixels` patches from lane `at` on, `wide` blocks at a time while there are so
 * many; `between`: from a pixel's outputs to the next one's. */
INLINE void outputs_of(uint32_t pixels, uint32_t wide, const int16_t *patch, uint32_t apart,
                       uint32_t terms, const nanotool_host_rows *rows, uint32_t at,
                       const nano_requant *requant, uint32_t outputs, int8_t *out,
                       uint32_t between) {
    const uint32_t pairs = (terms + 1) / 2, step = wide * LANES;
    const int16_t *w = rows->weights + 2 * at * pairs;
    lanes acc[8];
    uint32_t o = 0;
    for (; o + step <= outputs; o += step, w += 2 * step * pairs) {
        sums(pixels, wide, patch, apart, w, pairs, acc);
        for (uint32_t i = 0; i < pixels * wide; i++) {
            const uint32_t lane = o + i % wide * LANES;
            finish(acc[i], rows, at + lane, requant, out + i / wide * between + lane, LANES);
        }
    }
    for (; o < outputs; o += LANES, w += 2 * LANES * pairs) {
        sums(pixels, 1, patch, apart, w, pairs, acc);
        for (uint32_t i = 0; i < pixels; i++)
            finish(acc[i], rows, at + o, requant, out + i * between + o, outputs - o);
    }
}

/* Eight sums of vectors are under way at once where there are outputs enough: as many as hide what
 * a multiplication takes, and stay in registers. */
static void one(const int16_t *patch, uint32_t apart, uint32_t terms,
                const nanotool_host_rows *rows, uint32_t at, const nano_requant *requant,
                uint32_t outputs, int8_t *out, uint32_t between) {
    outputs_of(1, 8, patch, apart, terms, rows, at, requant, outputs, out, between);
}

static void four(const int16_t *patch, uint32_t apart, uint32_t terms,
                 const nanotool_host_rows *rows, uint32_t at, const nano_requant *requant,
                 uint32_t outputs, int8_t *out, uint32_t between) {
    outputs_of(PIXELS, 2, patch, apart, terms, rows, at, requant, outputs, out, between);
}

static void widen(const int8_t *in, int16_t *out, uint32_t n) {
    for (; n >= LANES; n -= LANES, in += LANES, out += LANES)
        for (uint32_t i = 0; i < LANES; i++)
            out[i] = in[i];
    for (uint32_t i = 0; i < n; i++)
        out[i] = in[i];
}

/* How many patches of so many int16 are gathered together: they share the room of one of the
 * longest. */
static uint32_t together(uint32_t length) {
    return PIXELS * length <= NANOTOOL_HOST_MAX_TERMS ? PIXELS : 1;
}

/* --- Dense layers -------------------------------------------------------------------------- */

void KERNEL(dense)(const void *params, const nano_io *io) {
    const nanotool_host_dense_params *const p = (const nanotool_host_dense_params *)params;
    const nano_dense_params *const op = &p->op;
    const uint32_t terms = op->in_features, length = padded(terms);
    int16_t patches[NANOTOOL_HOST_MAX_TERMS];
    const int8_t *in = (const int8_t *)io->in[0];
    int8_t *out = (int8_t *)io->out;
    for (uint32_t left = op->rows, n; left > 0; left -= n) {
        n = left >= PIXELS ? together(length) : 1;
        for (uint32_t r = 0; r < n; r++, in += terms) {
            widen(in, patches + r * length, terms);
            if (length > terms)
                patches[r * length + terms] = 0;
        }
        (n == PIXELS ? four : one)(patches, length, terms, &p->rows, 0, &op->requant,
                                   op->out_features, out, op->out_features);
        out += n * op->out_features;
    }
}

/* --- Convolutions -------------------------------------------------------------------------- */

/* How a convolution's patch is laid out: its groups one behind the other. */
typedef struct {
    uint32_t groups, channels; /* inputs of a group */
    uint32_t terms, length;    /* of a group: what it has, and with a zero behind, of even length */
    uint32_t outputs, lanes;   /* of a group, and in whole blocks */
} layout;

static layout layout_of(const nano_conv2d_params *p) {
    const nano_window *const window = &p->window;
    layout l = {p->groups, window->in_c / p->groups, 0, 0, window->out_c / p->groups, 0};
    l.terms = window->kernel_h * window->kernel_w * l.channels;
    l.length = padded(l.terms);
    l.lanes = (l.outputs + LANES - 1) / LANES * LANES;
    return l;
}

/* The inputs of output pixel (y, x) in the order of the weights; outside the image, zero points. */
static void gather(const nano_conv2d_params *p, const layout *l, uint32_t y, uint32_t x,
                   const int8_t *in, int16_t *patch) {
    const nano_window *const window = &p->window;
    const nano_view v = nano_look(window, nano_clip_rows(window, y), y, x);
    const uint32_t n = l->channels, row = window->kernel_w * n;
    const uint32_t taps = v.columns.end - v.columns.begin;
    const int whole = taps == window->kernel_w && v.rows.end - v.rows.begin == window->kernel_h;
    for (uint32_t g = 0; g < l->groups; g++, patch += l->length) {
        for (uint32_t k = 0; !whole && k < l->terms; k++)
            patch[k] = p->in_zero_point;
        for (uint32_t i = v.rows.begin; i < v.rows.end; i++) {
            const int8_t *const from = in + v.start + (i - v.rows.begin) * v.row_step + g * n;
            int16_t *const to = patch + i * row + v.columns.begin * n;
            if (v.step == n)
                widen(from, to, taps * n);
            else
                for (uint32_t j = 0; j < taps; j++)
                    widen(from + j * v.step, to + j * n, n);
        }
        if (l->length > l->terms)
            patch[l->terms] = 0; /* it completes the last pair */
    }
}

/* The convolution's outputs of the `n` pixels from number `at` on, in rows, to `out`. */
static void pixels(const nano_conv2d_params *p, const nanotool_host_rows *rows, const layout *l,
                   uint32_t at, uint32_t n, const int8_t *in, int8_t *out) {
    const nano_window *const window = &p->window;
    const uint32_t apart = l->groups * l->length;
    int16_t patches[NANOTOOL_HOST_MAX_TERMS];
    for (uint32_t i = 0; i < n; i++, at++)
        gather(p, l, at / window->out_w, at % window->out_w, in, patches + i * apart);
    for (uint32_t g = 0; g < l->groups; g++)
        (n == PIXELS ? four : one)(patches + g * l->length, apart, l->terms, rows, g * l->lanes,
                                   &p->requant, l->outputs, out + g * l->outputs, window->out_c);
}

void KERNEL(conv2d)(const void *params, const nano_io *io) {
    const nanotool_host_conv2d_params *const p = (const nanotool_host_conv2d_params *)params;
    const nano_window *const window = &p->op.window;
    const layout l = layout_of(&p->op);
    const uint32_t count = (uint32_t)window->out_h * window->out_w;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t at = 0, n; at < count; at += n, out += n * window->out_c) {
        n = count - at >= PIXELS ? together(l.groups * l.length) : 1;
        pixels(&p->op, &p->rows, &l, at, n, (const int8_t *)io->in[0], out);
    }
}

static inline lanes multiply(lanes x, const nano_factor *factor, int32_t left) {
    const int32_t shift = factor->shift;
    return scale(x, all(factor->multiplier), all(left + (shift > 0 ? shift : 0)),
                 all(shift > 0 ? 0 : -shift));
}

/* nano_conv2d_added() of eight elements. The headroom of summands is part of their scaling: as
 * their factors are at most 1/2, those shift nothing to the left. */
static inline void sum(const nano_conv2d_add_params *p, const int8_t *a, const int8_t *b,
                       int8_t *out) {
    const lanes first = add(widened(a), all(-p->conv.requant.zero_point));
    const lanes second = add(widened(b), all(-p->b_zero_point));
    const lanes total = add(multiply(first, &p->a_factor, NANO_SUM_HEADROOM_BITS),
                            multiply(second, &p->b_factor, NANO_SUM_HEADROOM_BITS));
    const nano_store *const end = &p->store;
    narrow(multiply(total, &p->out_factor, 0), end->zero_point, end->min, end->max, out);
}

void KERNEL(conv2d_add)(const void *params, const nano_io *io) {
    const nanotool_host_conv2d_add_params *const p =
        (const nanotool_host_conv2d_add_params *)params;
    const nano_conv2d_params *const conv = &p->op.conv;
    const layout l = layout_of(conv);
    const uint32_t count = (uint32_t)conv->window.out_h * conv->window.out_w;
    int8_t some[PIXELS * MOST_CHANNELS];
    const int many = conv->window.out_c <= MOST_CHANNELS;
    int8_t *const a = many ? some : (int8_t *)io->scratch; /* which has room for one pixel */
    const int8_t *b = (const int8_t *)io->in[1];
    int8_t *out = (int8_t *)io->out;
    for (uint32_t at = 0, n; at < count; at += n) {
        n = many && count - at >= PIXELS ? together(l.groups * l.length) : 1;
        pixels(conv, &p->rows, &l, at, n, (const int8_t *)io->in[0], a);
        const uint32_t elements = n * conv->window.out_c;
        uint32_t o = 0;
        for (; o + LANES <= elements; o += LANES)
            sum(&p->op, a + o, b + o, out + o);
        for (; o < elements; o++)
            out[o] = nano_conv2d_added(&p->op, a[o], b[o]);
        b += elements;
        out += elements;
    }
}

/* Raise best[] to the sums of some patches, `apart` from one to the next, or begin with them. */
INLINE void raise_by(uint32_t pixels, const int16_t *patches, uint32_t apart, const int16_t *w,
                     uint32_t pairs, uint32_t outputs, int begin, int32_t *best) {
    for (uint32_t o = 0; o < outputs; o += LANES, w += 2 * LANES * pairs) {
        const uint32_t count = least(LANES, outputs - o);
        lanes acc[PIXELS];
        int32_t top[LANES];
        sums(pixels, 1, patches, apart, w, pairs, acc);
        for (uint32_t p = 1; p < pixels; p++)
            acc[0] = highest(acc[0], acc[p]);
        store(top, acc[0]);
        for (uint32_t i = 0; i < count; i++)
            best[o + i] = begin || top[i] > best[o + i] ? top[i] : best[o + i];
    }
}

/* The same for `count` patches, at most PIXELS. */
static void raise(const int16_t *patches, uint32_t count, const layout *l, const int16_t *w,
                  int begin, int32_t *best) {
    const uint32_t pairs = l->length / 2;
    if (count == PIXELS) {
        raise_by(PIXELS, patches, l->length, w, pairs, l->outputs, begin, best);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        raise_by(1, patches + i * l->length, 0, w, pairs, l->outputs, begin && i == 0, best);
}

/* best[] of a pool's window: the convolution's highest sums in it. */
static void highest_of(const nanotool_host_conv2d_max_pool_params *p, const layout *l, uint32_t y,
                       uint32_t x, const int8_t *in, int32_t *best) {
    const nano_window *const pool = &p->op.pool;
    const nano_taps rows = nano_clip_rows(pool, y), columns = nano_clip_columns(pool, x);
    const uint32_t most = together(l->length);
    int16_t patches[NANOTOOL_HOST_MAX_TERMS];
    uint32_t waiting = 0;
    int begin = 1;
    for (uint32_t i = rows.begin; i < rows.end; i++) {
        for (uint32_t j = columns.begin; j < columns.end; j++) {
            gather(&p->op.conv, l, y * pool->stride_h - pool->pad_top + i,
                   x * pool->stride_w - pool->pad_left + j, in, patches + waiting * l->length);
            if (++waiting == most) {
                raise(patches, waiting, l, p->rows.weights, begin, best);
                waiting = 0;
                begin = 0;
            }
        }
    }
    raise(patches, waiting, l, p->rows.weights, begin, best);
}

void KERNEL(conv2d_max_pool)(const void *params, const nano_io *io) {
    const nanotool_host_conv2d_max_pool_params *const p =
        (const nanotool_host_conv2d_max_pool_params *)params;
    const nano_window *const pool = &p->op.pool;
    const nano_conv2d_params *const conv = &p->op.conv;
    const layout l = layout_of(conv);
    int32_t *const best = (int32_t *)io->scratch;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t at = 0; at < (uint32_t)pool->out_h * pool->out_w; at++) {
        highest_of(p, &l, at / pool->out_w, at % pool->out_w, (const int8_t *)io->in[0], best);
        uint32_t o = 0;
        for (; o + LANES <= pool->out_c; o += LANES)
            finish(load(best + o), &p->rows, o, &conv->requant, out + o, LANES);
        for (; o < pool->out_c; o++)
            out[o] = nano_requantize(conv->bias[o] + best[o], &conv->requant, o);
        out += pool->out_c;
    }
}

/* --- Depthwise convolutions ---------------------------------------------------------------- */

/* Where the taps of a window lie, in the order of the weights; an even number of them. */
static void find_taps(const nanotool_host_depthwise_conv2d_params *p, const nano_view *v,
                      const int8_t *in, const int8_t *taps[]) {
    const nano_window *const window = &p->op.window;
    const uint32_t count = (uint32_t)window->kernel_h * window->kernel_w;
    for (uint32_t k = 0; k < count + count % 2; k++)
        taps[k] = p->padding;
    for (uint32_t i = v->rows.begin; i < v->rows.end; i++) {
        const int8_t *from = in + v->start + (i - v->rows.begin) * v->row_step;
        for (uint32_t j = v->columns.begin; j < v->columns.end; j++, from += v->step)
            taps[i * window->kernel_w + j] = from;
    }
}

/* The eight channels from `at` on. */
INLINE void channels(const nanotool_host_depthwise_conv2d_params *p, const int8_t *const taps[],
                     uint32_t pairs, uint32_t at, int8_t *out) {
    const int16_t *w = p->rows.weights + 2 * at * pairs;
    lanes acc = zeros();
    for (uint32_t k = 0; k < pairs; k++, w += 2 * LANES)
        acc = add_taps(acc, taps[2 * k] + at, taps[2 * k + 1] + at, w);
    finish(acc, &p->rows, at, &p->op.requant, out + at, LANES);
}

/* The last `count` channels, from `at` on, fewer than eight: no byte behind them is read. */
static void last_channels(const nanotool_host_depthwise_conv2d_params *p,
                          const int8_t *const taps[], uint32_t pairs, uint32_t at, uint32_t count,
                          int8_t *out) {
    const int16_t *w = p->rows.weights + 2 * at * pairs;
    lanes acc = zeros();
    for (uint32_t k = 0; k < pairs; k++, w += 2 * LANES) {
        int8_t a[LANES] = {0}, b[LANES] = {0};
        memcpy(a, taps[2 * k] + at, count);
        memcpy(b, taps[2 * k + 1] + at, count);
        acc = add_taps(acc, a, b, w);
    }
    finish(acc, &p->rows, at, &p->op.requant, out + at, count);
}

void KERNEL(depthwise_conv2d)(const void *params, const nano_io *io) {
    const nanotool_host_depthwise_conv2d_params *const p =
        (const nanotool_host_depthwise_conv2d_params *)params;
    const nano_window *const window = &p->op.window;
    const uint32_t pairs = ((uint32_t)window->kernel_h * window->kernel_w + 1) / 2;
    const int8_t *taps[NANOTOOL_HOST_MAX_TAPS];
    int8_t *out = (int8_t *)io->out;
    for (uint32_t y = 0; y < window->out_h; y++) {
        const nano_taps rows = nano_clip_rows(window, y);
        for (uint32_t x = 0; x < window->out_w; x++, out += window->out_c) {
            const nano_view v = nano_look(window, rows, y, x);
            find_taps(p, &v, (const int8_t *)io->in[0], taps);
            uint32_t at = 0;
            for (; at + LANES <= window->out_c; at += LANES)
                channels(p, taps, pairs, at, out);
            if (at < window->out_c)
                last_channels(p, taps, pairs, at, window->out_c - at, out);
        }
    }
}

#if defined(NANOTOOL_AVX2) && defined(__clang__)
#pragma clang attribute pop
#endif
