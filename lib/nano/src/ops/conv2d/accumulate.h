/* accumulate.h - what the convolutions share: an output element's sum, a pixel (internal). */
#ifndef NANO_CONV2D_ACCUMULATE_H
#define NANO_CONV2D_ACCUMULATE_H

#include "../../window.h"

static inline int32_t nano_conv2d_sum(const int8_t *w, uint32_t n) {
    int32_t total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += w[i];
    return total;
}

static inline int32_t nano_conv2d_dot(const int8_t *in, const int8_t *w, uint32_t n) {
    int32_t total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += in[i] * w[i];
    return total;
}

/* `taps` taps of `n` channels each, packed in w, `step` apart in the input. */
static inline int32_t nano_conv2d_dot_row(const int8_t *in, uint32_t step, const int8_t *w,
                                          uint32_t taps, uint32_t n) {
    if (step == n) /* an ordinary convolution's row has no gaps */
        return nano_conv2d_dot(in, w, taps * n);
    int32_t total = 0;
    for (uint32_t j = 0; j < taps; j++)
        total += nano_conv2d_dot(in + j * step, w + j * n, n);
    return total;
}

/* Sum over the taps inside the image of in * w. `in` is the image from its group's first channel
 * on, `w` one filter: KH, KW, n; `row` = KW * n. */
static inline int32_t nano_conv2d_inside(const nano_view *v, const int8_t *in, const int8_t *w,
                                         uint32_t row, uint32_t n) {
    const uint32_t taps = v->columns.end - v->columns.begin;
    uint32_t at = v->start, w_at = v->rows.begin * row + v->columns.begin * n;
    int32_t total = 0;
    for (uint32_t i = v->rows.begin; i < v->rows.end; i++) {
        total += nano_conv2d_dot_row(in + at, v->step, w + w_at, taps, n);
        at += v->row_step;
        w_at += row;
    }
    return total;
}

/* Sum over the taps outside the image of w: whole rows, less what of them is inside. */
static inline int32_t nano_conv2d_outside(const nano_view *v, const int8_t *w, uint32_t rows,
                                          uint32_t row, uint32_t n) {
    int32_t total = 0;
    for (uint32_t i = 0; i < rows; i++, w += row) {
        total += nano_conv2d_sum(w, row);
        if (v->rows.begin <= i && i < v->rows.end)
            total -=
                nano_conv2d_sum(w + v->columns.begin * n, (v->columns.end - v->columns.begin) * n);
    }
    return total;
}

/* All channels of one output pixel: groups of `group_outputs`, from `n` input channels each. */
void nano_conv2d_pixel(const nano_conv2d_params *p, const nano_view *v, const int8_t *in,
                       uint32_t n, uint32_t group_outputs, int8_t *out);

#endif
