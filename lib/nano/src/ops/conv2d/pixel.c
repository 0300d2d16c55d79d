/* out[o] = requantize(bias[o] + sum of in * w over o's filter) for all o of one pixel (conv2d.c).
 */
#include "nano/requant.h"
#include "accumulate.h"

void nano_conv2d_pixel(const nano_conv2d_params *p, const nano_view *v, const int8_t *in,
                       uint32_t n, uint32_t group_outputs, int8_t *out) {
    const uint32_t rows = p->window.kernel_h, row = p->window.kernel_w * n;
    const int padded = v->rows.end - v->rows.begin != rows ||
                       v->columns.end - v->columns.begin != p->window.kernel_w;
    const int8_t *w = p->weights;
    uint32_t left = group_outputs;
    for (uint32_t o = 0; o < p->window.out_c; o++, w += rows * row) {
        int32_t acc = p->bias[o] + nano_conv2d_inside(v, in, w, row, n);
        if (padded)
            acc += p->in_zero_point * nano_conv2d_outside(v, w, rows, row, n);
        out[o] = nano_requantize(acc, &p->requant, o);
        if (--left == 0) { /* the next output begins the next group */
            left = group_outputs;
            in += n;
        }
    }
}
