/* out[y,x,o] = requantize(bias[o] + sum_{i,j,c} in[y*sh + i*dh - pt, x*sw + j*dw - pl, g*cg + c]
 *                                               * w[o,i,j,c])
 * in: H, W, C int8; w: O, KH, KW, C/groups int8; g = o / (O/groups); cg = C/groups. The input's
 * zero point is folded into the bias, so a tap outside the image counts as zero point * w. */
#include "nano/ops.h"

#include "accumulate.h"

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
            nano_conv2d_pixel(p, &v, (const int8_t *)io->in[0], n, group_outputs, out);
            out += window->out_c;
        }
    }
}
