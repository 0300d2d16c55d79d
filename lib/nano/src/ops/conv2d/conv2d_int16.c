/* out[y,x,o] = requantize(bias[o] + sum_{i,j,c} in[y*sh + i*dh - pt, x*sw + j*dw - pl, g*cg + c]
 *                                               * w[o,i,j,c])
 * in: H, W, C int16; w: O, KH, KW, C/groups int8; g = o / (O/groups); cg = C/groups. */
#include "nano/ops.h"

#include "../../requant_int16.h"
#include "../../window.h"

/* Sum over the taps inside the image of in * w. `in` is the image from its group's first channel
 * on, `w` one filter: KH, KW, n. */
static int64_t sum(const nano_view *v, const int16_t *in, const int8_t *w, uint32_t kernel_w,
                   uint32_t n) {
    int64_t total = 0;
    uint32_t row = v->start;
    for (uint32_t i = v->rows.begin; i < v->rows.end; i++, row += v->row_step) {
        uint32_t at = row;
        for (uint32_t j = v->columns.begin; j < v->columns.end; j++, at += v->step)
            total += nano_dot_int16(in + at, w + (i * kernel_w + j) * n, n);
    }
    return total;
}

void nano_conv2d_int16(const void *params, const nano_io *io) {
    const nano_conv2d_int16_params *const p = (const nano_conv2d_int16_params *)params;
    const nano_window *const window = &p->window;
    const uint32_t n = window->in_c / p->groups;
    const uint32_t group_outputs = window->out_c / p->groups;
    const uint32_t filter = (uint32_t)window->kernel_h * window->kernel_w * n;
    const int16_t *const in = (const int16_t *)io->in[0];
    int16_t *out = (int16_t *)io->out;
    for (uint32_t y = 0; y < window->out_h; y++) {
        const nano_taps rows = nano_clip_rows(window, y);
        for (uint32_t x = 0; x < window->out_w; x++) {
            const nano_view v = nano_look(window, rows, y, x);
            for (uint32_t o = 0; o < window->out_c; o++) {
                const int16_t *const group = in + o / group_outputs * n;
                const int8_t *const w = p->weights + o * filter;
                const int64_t acc = p->bias[o] + sum(&v, group, w, window->kernel_w, n);
                *out++ = nano_requantize_int16(acc, &p->requant, o);
            }
        }
    }
}
