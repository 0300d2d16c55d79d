/* out[y,x,c] = clamp(round(sum_{i,j} in[y*sh + i*dh - pt, x*sw + j*dw - pl, c] / n), min, max)
 * over the n taps inside the image, halves away from zero; in, out: H, W, C int8. */
#include "nano/ops.h"

#include "../../window.h"

/* sum / count, rounded, halves away from zero. */
static int32_t mean(int32_t sum, int32_t count) {
    const int32_t half = count / 2;
    return (sum > 0 ? sum + half : sum - half) / count;
}

/* The sum of one channel's inside taps. */
static int32_t window_sum(const nano_view *v, const int8_t *in) {
    const uint32_t columns = v->columns.end - v->columns.begin;
    int32_t sum = 0;
    uint32_t at = v->start;
    for (uint32_t i = v->rows.begin; i < v->rows.end; i++, at += v->row_step) {
        for (uint32_t j = 0; j < columns; j++)
            sum += in[at + j * v->step];
    }
    return sum;
}

/* How many taps are inside. Lowering sees to it that there is one; 1 if there is none, so that a
 * faulty model does not divide by zero. */
static int32_t inside(const nano_view *v) {
    const uint32_t count = (v->rows.end - v->rows.begin) * (v->columns.end - v->columns.begin);
    return count > 0 ? (int32_t)count : 1;
}

void nano_average_pool(const void *params, const nano_io *io) {
    const nano_pool_params *const p = (const nano_pool_params *)params;
    const nano_window *const window = &p->window;
    const int8_t *const in = (const int8_t *)io->in[0];
    int8_t *out = (int8_t *)io->out;
    for (uint32_t y = 0; y < window->out_h; y++) {
        const nano_taps rows = nano_clip_rows(window, y);
        for (uint32_t x = 0; x < window->out_w; x++) {
            const nano_view v = nano_look(window, rows, y, x);
            const int32_t count = inside(&v);
            for (uint32_t c = 0; c < window->out_c; c++) {
                const int32_t q = mean(window_sum(&v, in + c), count);
                *out++ = (int8_t)(q < p->min ? p->min : q > p->max ? p->max : q);
            }
        }
    }
}
