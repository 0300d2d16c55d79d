/* out[y,x,o] = requantize(bias[o] + sum_{i,j} in[y*sh + i*dh - pt, x*sw + j*dw - pl, o/m] *
 * w[i,j,o]) in: H, W, C int8; w: KH, KW, O int8; m = O/C. The input's zero point is folded into the
 * bias, so a tap outside the image counts as zero point * w. Channels lie side by side in image and
 * weights: four at a time keep their sums in registers. */
#include "nano/ops.h"

#include "nano/requant.h"
#include "../../window.h"

static int is_inside(const nano_view *v, uint32_t i, uint32_t j) {
    return v->rows.begin <= i && i < v->rows.end && v->columns.begin <= j && j < v->columns.end;
}

/* Where the weights of the first tap inside begin. */
static uint32_t first_weight(const nano_view *v, const nano_window *window) {
    return (v->rows.begin * window->kernel_w + v->columns.begin) * window->out_c;
}

/* The sum over one channel's taps; `in` and `w` begin at that channel. */
static int32_t one(const nano_depthwise_conv2d_params *p, const nano_view *v, const int8_t *in,
                   const int8_t *w) {
    const nano_window *const window = &p->window;
    const uint32_t tap = window->out_c;
    int32_t inside = 0, outside = 0;
    uint32_t row_at = v->start, w_at = 0;
    for (uint32_t i = 0; i < window->kernel_h; i++) {
        uint32_t at = row_at;
        for (uint32_t j = 0; j < window->kernel_w; j++, w_at += tap) {
            if (is_inside(v, i, j)) {
                inside += in[at] * w[w_at];
                at += v->step;
            } else {
                outside += w[w_at];
            }
        }
        if (v->rows.begin <= i)
            row_at += v->row_step;
    }
    return inside + p->in_zero_point * outside;
}

/* Add to sum[] the taps inside the image of four channels. */
static void four_inside(const nano_window *window, const nano_view *v, const int8_t *in,
                        const int8_t *w, int32_t sum[4]) {
    const uint32_t columns = v->columns.end - v->columns.begin, tap = window->out_c;
    int32_t a = sum[0], b = sum[1], c = sum[2], d = sum[3];
    uint32_t row_at = v->start, row_w = first_weight(v, window);
    for (uint32_t i = v->rows.begin; i < v->rows.end; i++) {
        uint32_t at = row_at, w_at = row_w;
        for (uint32_t j = 0; j < columns; j++, at += v->step, w_at += tap) {
            a += in[at] * w[w_at];
            b += in[at + 1] * w[w_at + 1];
            c += in[at + 2] * w[w_at + 2];
            d += in[at + 3] * w[w_at + 3];
        }
        row_at += v->row_step;
        row_w += window->kernel_w * tap;
    }
    sum[0] = a;
    sum[1] = b;
    sum[2] = c;
    sum[3] = d;
}

/* Add to sum[] the taps outside the image of four channels. */
static void four_outside(const nano_depthwise_conv2d_params *p, const nano_view *v, const int8_t *w,
                         int32_t sum[4]) {
    const int32_t zero_point = p->in_zero_point;
    for (uint32_t i = 0; i < p->window.kernel_h; i++) {
        for (uint32_t j = 0; j < p->window.kernel_w; j++, w += p->window.out_c) {
            for (uint32_t k = 0; k < 4 && !is_inside(v, i, j); k++)
                sum[k] += zero_point * w[k];
        }
    }
}

/* All channels of one output pixel. */
static void pixel(const nano_depthwise_conv2d_params *p, const nano_view *v, const int8_t *in,
                  int8_t *out) {
    const nano_window *const window = &p->window;
    const uint32_t outputs = window->out_c, multiplier = outputs / window->in_c;
    const int padded = v->rows.end - v->rows.begin != window->kernel_h ||
                       v->columns.end - v->columns.begin != window->kernel_w;
    uint32_t o = 0;
    for (; multiplier == 1 && o + 4 <= outputs; o += 4) {
        int32_t sum[4] = {0, 0, 0, 0};
        four_inside(window, v, in + o, p->weights + o, sum);
        if (padded)
            four_outside(p, v, p->weights + o, sum);
        for (uint32_t k = 0; k < 4; k++)
            out[o + k] = nano_requantize(p->bias[o + k] + sum[k], &p->requant, o + k);
    }
    for (; o < outputs; o++) {
        const int32_t sum = one(p, v, in + o / multiplier, p->weights + o);
        out[o] = nano_requantize(p->bias[o] + sum, &p->requant, o);
    }
}

void nano_depthwise_conv2d(const void *params, const nano_io *io) {
    const nano_depthwise_conv2d_params *const p = (const nano_depthwise_conv2d_params *)params;
    const nano_window *const window = &p->window;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t y = 0; y < window->out_h; y++) {
        const nano_taps rows = nano_clip_rows(window, y);
        for (uint32_t x = 0; x < window->out_w; x++) {
            const nano_view v = nano_look(window, rows, y, x);
            pixel(p, &v, (const int8_t *)io->in[0], out);
            out += window->out_c;
        }
    }
}
