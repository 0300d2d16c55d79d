/* out[y,x,c] = clamp(max_{i,j} in[y*sh + i*dh - pt, x*sw + j*dw - pl, c], min, max)
 * over the taps inside the image; in, out: H, W, C int8. */
#include "nano/ops.h"

#include "../../window.h"

/* The largest of one channel's inside taps, or `low` if that is larger. */
static int32_t window_max(const nano_view *v, const int8_t *in, int32_t low) {
    const uint32_t columns = v->columns.end - v->columns.begin;
    int32_t best = low;
    uint32_t at = v->start;
    for (uint32_t i = v->rows.begin; i < v->rows.end; i++, at += v->row_step) {
        for (uint32_t j = 0; j < columns; j++) {
            const int32_t tap = in[at + j * v->step];
            best = tap > best ? tap : best;
        }
    }
    return best;
}

void nano_max_pool(const void *params, const nano_io *io) {
    const nano_pool_params *const p = (const nano_pool_params *)params;
    const nano_window *const window = &p->window;
    const int8_t *const in = (const int8_t *)io->in[0];
    int8_t *out = (int8_t *)io->out;
    for (uint32_t y = 0; y < window->out_h; y++) {
        const nano_taps rows = nano_clip_rows(window, y);
        for (uint32_t x = 0; x < window->out_w; x++) {
            const nano_view v = nano_look(window, rows, y, x);
            for (uint32_t c = 0; c < window->out_c; c++) {
                const int32_t q = window_max(&v, in + c, p->min);
                *out++ = (int8_t)(q > p->max ? p->max : q);
            }
        }
    }
}
