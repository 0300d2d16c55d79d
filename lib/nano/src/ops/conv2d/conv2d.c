/* out[y,x,o] = requantize(bias[o] + sum_{i,j,c} in[y*sh + i*dh - pt, x*sw + j*dw - pl, g*cg + c]
 *                                               * w[o,i,j,c])
 * in: H, W, C int8; w: O, KH, KW, C/groups int8; g = o / (O/groups); cg = C/groups. The input's
 * zero point is folded into the bias, so a tap outside the image counts as zero point * w. */
#include "nano/ops.h"

#include "../../requant.h"
#include "../../window.h"

static int32_t sum(const int8_t *w, uint32_t n) {
    int32_t total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += w[i];
    return total;
}

static int32_t dot(const int8_t *in, const int8_t *w, uint32_t n) {
    int32_t total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += in[i] * w[i];
    return total;
}

/* `taps` taps of `n` channels each, packed in w, `step` apart in the input. */
static int32_t dot_row(const int8_t *in, uint32_t step, const int8_t *w, uint32_t taps,
                       uint32_t n) {
    if (step == n) /* an ordinary convolution's row has no gaps */
        return dot(in, w, taps * n);
    int32_t total = 0;
    for (uint32_t j = 0; j < taps; j++)
        total += dot(in + j * step, w + j * n, n);
    return total;
}

/* Sum over the taps inside the image of in * w. `in` is the image from its group's first channel
 * on, `w` one filter: KH, KW, n; `row` = KW * n. */
static int32_t inside(const nano_view *v, const int8_t *in, const int8_t *w, uint32_t row,
                      uint32_t n) {
    const uint32_t taps = v->columns.end - v->columns.begin;
    uint32_t at = v->start, w_at = v->rows.begin * row + v->columns.begin * n;
    int32_t total = 0;
    for (uint32_t i = v->rows.begin; i < v->rows.end; i++) {
        total += dot_row(in + at, v->step, w + w_at, taps, n);
        at += v->row_step;
        w_at += row;
    }
    return total;
}

/* Sum over the taps outside the image of w: whole rows, less what of them is inside. */
static int32_t outside(const nano_view *v, const int8_t *w, uint32_t rows, uint32_t row,
                       uint32_t n) {
    int32_t total = 0;
    for (uint32_t i = 0; i < rows; i++, w += row) {
        total += sum(w, row);
        if (v->rows.begin <= i && i < v->rows.end)
            total -= sum(w + v->columns.begin * n, (v->columns.end - v->columns.begin) * n);
    }
    return total;
}

/* All channels of one output pixel. */
static void pixel(const nano_conv2d_params *p, const nano_view *v, const int8_t *in, uint32_t n,
                  uint32_t group_outputs, int8_t *out) {
    const uint32_t rows = p->window.kernel_h, row = p->window.kernel_w * n;
    const int padded = v->rows.end - v->rows.begin != rows ||
                       v->columns.end - v->columns.begin != p->window.kernel_w;
    const int8_t *w = p->weights;
    uint32_t left = group_outputs;
    for (uint32_t o = 0; o < p->window.out_c; o++, w += rows * row) {
        int32_t acc = p->bias[o] + inside(v, in, w, row, n);
        if (padded)
            acc += p->in_zero_point * outside(v, w, rows, row, n);
        out[o] = nano_requantize(acc, &p->requant, o);
        if (--left == 0) { /* the next output begins the next group */
            left = group_outputs;
            in += n;
        }
    }
}

void nano_conv2d(const void *params, const nano_io *io) {
    const nano_conv2d_params *const p = (const nano_conv2d_params *)params;
    const nano_window *const window = &p->window;
    const uint32_t n = window->in_c / p->groups;
    const uint32_t group_outputs = window->out_c / p->groups;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t y = 0; y < window->out_h; y++) {
        const nano_taps rows = nano_clip_rows(window, y);
        for (uint32_t x = 0; x < window->out_w; x++) {
            const nano_view v = nano_look(window, rows, y, x);
            pixel(p, &v, (const int8_t *)io->in[0], n, group_outputs, out);
            out += window->out_c;
        }
    }
}
