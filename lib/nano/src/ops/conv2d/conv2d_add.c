/* out[y,x,o] = add(conv2d[y,x,o], b[y,x,o]), as conv2d.c and add.c compute them, without an image
 * between the two; in, b, out: H, W, C int8. scratch: int8[out_c], a pixel of the convolution. */
#include "nano/ops.h"

#include "../../sum.h"
#include "accumulate.h"

void nano_conv2d_add(const void *params, const nano_io *io) {
    const nano_conv2d_add_params *const p = (const nano_conv2d_add_params *)params;
    const nano_window *const window = &p->conv.window;
    const uint32_t n = window->in_c / p->conv.groups;
    const uint32_t group_outputs = window->out_c / p->conv.groups;
    const int8_t *b = (const int8_t *)io->in[1];
    int8_t *const a = (int8_t *)io->scratch;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t y = 0; y < window->out_h; y++) {
        const nano_taps rows = nano_clip_rows(window, y);
        for (uint32_t x = 0; x < window->out_w; x++) {
            const nano_view v = nano_look(window, rows, y, x);
            nano_conv2d_pixel(&p->conv, &v, (const int8_t *)io->in[0], n, group_outputs, a);
            for (uint32_t o = 0; o < window->out_c; o++)
                *out++ = nano_conv2d_added(p, a[o], *b++);
        }
    }
}
