/* pool.h - what pools share (internal). */
#ifndef NANO_POOL_H
#define NANO_POOL_H

#include "../../window.h"
#include "nano/ops.h"

/* All channels of one output pixel. `in` is the window's first tap inside the image. */
typedef void (*nano_pool_channels)(const nano_pool_params *params, const nano_view *view,
                                   const int8_t *in, int8_t *out);

/* Call `channels` for every output pixel, in memory order. */
static inline void nano_pool(const nano_pool_params *p, const nano_io *io,
                             nano_pool_channels channels) {
    const nano_window *const w = &p->window;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t y = 0; y < w->out_h; y++) {
        const nano_taps rows = nano_clip_rows(w, y);
        nano_view v = {rows, rows, 0, 0, 0};
        for (uint32_t x = 0; x < w->out_w; x++, out += w->out_c) {
            (void)nano_look_next(w, rows, y, x, &v);
            channels(p, &v, (const int8_t *)io->in[0] + v.start, out);
        }
    }
}

/* The taps of a view, row by row. */
typedef struct {
    uint32_t rows, columns, step;
    int32_t
        next_row; /* from behind a row; below 0 where a dilated window is wider than the image */
} nano_pool_taps;

static inline nano_pool_taps nano_pool_look(const nano_view *v) {
    nano_pool_taps t = {v->rows.end - v->rows.begin, v->columns.end - v->columns.begin, v->step, 0};
    t.next_row = (int32_t)(v->row_step - t.columns * t.step);
    return t;
}

/* How sums are divided: by a product, or where that is not exact by the count itself. */
typedef struct {
    int32_t count;
    int32_t factor; /* ceil(2^23 / (4 count)); 0: divide */
} nano_pool_divisor;

/* With s a sum of n = `count` bytes, a = 4 s - (s < 0) is no multiple of 2 n where it is negative,
 * so that halves are no special case: round(s / n) = floor(a / (4 n) + 1/2). The factor is
 * `more` / 2^23 too large for each unit of |a| <= 512 n + 1, and 1 / (4 n) is what there is to the
 * next integer.
 *
 * Lowering sees to it that a tap is inside; 1 if there is none, so that a faulty model does not
 * divide by zero. */
static inline nano_pool_divisor nano_pool_divide_by(const nano_pool_taps *t) {
    const uint32_t taps = t->rows * t->columns, n = taps > 0 ? taps : 1;
    nano_pool_divisor d = {(int32_t)n, 0};
    if (n < 1024) {
        const uint32_t factor = ((1u << 21) + n - 1) / n, more = 4 * n * factor - (1u << 23);
        if (more * (512 * n + 1) < 1u << 23)
            d.factor = (int32_t)factor;
    }
    return d;
}

static inline int32_t nano_pool_divide(int32_t sum, int32_t count) {
    const int32_t half = count / 2;
    return (sum > 0 ? sum + half : sum - half) / count;
}

/* sum / count, rounded, halves away from zero. */
static inline int32_t nano_pool_mean(int32_t sum, const nano_pool_divisor *d) {
    if (d->factor > 0)
        return ((4 * sum + (sum >> 31)) * d->factor + (1 << 22)) >> 23;
    return nano_pool_divide(sum, d->count);
}

/* q within the pool's clamp. */
static inline int32_t nano_pool_clamp(const nano_pool_params *p, int32_t q) {
    q = q < p->min ? p->min : q;
    return q > p->max ? p->max : q;
}

#endif
