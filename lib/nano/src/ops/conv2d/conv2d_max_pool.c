/* out[y,x,o] = requantize(max_{i,j} acc[y*sh + i - pt, x*sw + j - pl, o]) over the pool's taps
 * inside the convolution's image, where acc is what conv2d.c requantizes; in, out: H, W, C int8.
 * Requantization never falls as its accumulator rises, so the largest one is enough: there is no
 * image between the two, and a fraction of the requantizations. scratch: int32[out_c], the largest
 * accumulator of each channel so far. */
#include "nano/ops.h"

#include "nano/requant.h"
#include "accumulate.h"

/* Raise best[] to the accumulators of one pixel of the convolution, or begin with them. */
static void raise(const nano_conv2d_params *p, const nano_view *v, const int8_t *in, int begin,
                  int32_t *best) {
    const uint32_t n = p->window.in_c / p->groups, group_outputs = p->window.out_c / p->groups;
    const uint32_t rows = p->window.kernel_h, row = p->window.kernel_w * n;
    const int padded = v->rows.end - v->rows.begin != rows ||
                       v->columns.end - v->columns.begin != p->window.kernel_w;
    const int8_t *w = p->weights;
    uint32_t left = group_outputs;
    for (uint32_t o = 0; o < p->window.out_c; o++, w += rows * row) {
        int32_t acc = p->bias[o] + nano_conv2d_inside(v, in, w, row, n);
        if (padded)
            acc += p->in_zero_point * nano_conv2d_outside(v, w, rows, row, n);
        if (begin || acc > best[o])
            best[o] = acc;
        if (--left == 0) { /* the next output begins the next group */
            left = group_outputs;
            in += n;
        }
    }
}

/* The largest accumulators of one pooled pixel. */
static void pool(const nano_conv2d_max_pool_params *p, uint32_t y, uint32_t x, const int8_t *in,
                 int32_t *best) {
    const nano_taps rows = nano_clip_rows(&p->pool, y), columns = nano_clip_columns(&p->pool, x);
    const uint32_t top = y * p->pool.stride_h - p->pool.pad_top;
    const uint32_t left = x * p->pool.stride_w - p->pool.pad_left;
    for (uint32_t i = rows.begin; i < rows.end; i++) {
        const nano_taps conv_rows = nano_clip_rows(&p->conv.window, top + i);
        for (uint32_t j = columns.begin; j < columns.end; j++) {
            const nano_view v = nano_look(&p->conv.window, conv_rows, top + i, left + j);
            raise(&p->conv, &v, in, i == rows.begin && j == columns.begin, best);
        }
    }
}

void nano_conv2d_max_pool(const void *params, const nano_io *io) {
    const nano_conv2d_max_pool_params *const p = (const nano_conv2d_max_pool_params *)params;
    int32_t *const best = (int32_t *)io->scratch;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t y = 0; y < p->pool.out_h; y++) {
        for (uint32_t x = 0; x < p->pool.out_w; x++) {
            pool(p, y, x, (const int8_t *)io->in[0], best);
            for (uint32_t o = 0; o < p->pool.out_c; o++)
                *out++ = nano_requantize(best[o], &p->conv.requant, o);
        }
    }
}
