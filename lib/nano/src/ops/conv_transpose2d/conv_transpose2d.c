/* out[y,x,o] = requantize(bias[o] + sum (in[v,u,c] - z_in) * w[o,i,j,c])
 * over all v*sh + i = y + pt, u*sw + j = x + pl; in: H, W, C int8; w: O, KH, KW, C int8.
 * The output gathers: so each of its bytes is computed once, and no int32 image is needed. */
#include "nano/ops.h"

#include "nano/requant.h"
#include "reach.h"

static int32_t dot(const int8_t *in, int32_t zero_point, const int8_t *w, uint32_t n) {
    int32_t total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += (in[i] - zero_point) * w[i];
    return total;
}

/* The sum over the taps of one output element; `w` is its channel's filter. */
static int32_t gather(const nano_conv_transpose2d_params *p, const nano_reach *rows,
                      const nano_reach *columns, const int8_t *in, const int8_t *w) {
    const nano_window *const window = &p->window;
    const uint32_t n = window->in_c;
    int32_t total = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        const uint32_t row = rows->tap + i * window->stride_h;
        uint32_t at = ((rows->index - i) * window->in_w + columns->index) * n;
        uint32_t w_at = (row * window->kernel_w + columns->tap) * n;
        for (uint32_t j = 0; j < columns->count; j++, at -= n, w_at += window->stride_w * n)
            total += dot(in + at, p->in_zero_point, w + w_at, n);
    }
    return total;
}

void nano_conv_transpose2d(const void *params, const nano_io *io) {
    const nano_conv_transpose2d_params *const p = (const nano_conv_transpose2d_params *)params;
    const nano_window *const window = &p->window;
    const uint32_t filter = (uint32_t)window->kernel_h * window->kernel_w * window->in_c;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t y = 0; y < window->out_h; y++) {
        const nano_reach rows =
            nano_find_reach(y + window->pad_top, window->stride_h, window->kernel_h, window->in_h);
        for (uint32_t x = 0; x < window->out_w; x++) {
            const nano_reach columns = nano_find_reach(x + window->pad_left, window->stride_w,
                                                       window->kernel_w, window->in_w);
            const int8_t *w = p->weights;
            for (uint32_t o = 0; o < window->out_c; o++, w += filter) {
                const int32_t acc =
                    p->bias[o] + gather(p, &rows, &columns, (const int8_t *)io->in[0], w);
                *out++ = nano_requantize(acc, &p->requant, o);
            }
        }
    }
}
