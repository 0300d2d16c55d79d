/* max_pool.c's and average_pool.c's functions; in, out: H, W, C int16. The sum of 65535 taps fits
 * int32. */
#include "nano/ops.h"

#include "../../requant_int16.h"
#include "../../window.h"

/* All that an output element is made of. */
typedef struct {
    int32_t sum, largest, count;
} taps;

/* `in`: the image from the element's channel on. */
static taps look(const nano_view *v, const int16_t *in) {
    taps t = {0, INT16_MIN, 0};
    uint32_t at = v->start;
    for (uint32_t i = v->rows.begin; i < v->rows.end; i++, at += v->row_step) {
        for (uint32_t j = 0; j < v->columns.end - v->columns.begin; j++, t.count++) {
            const int32_t tap = in[at + j * v->step];
            t.sum += tap;
            t.largest = tap > t.largest ? tap : t.largest;
        }
    }
    return t;
}

static int32_t largest(const taps *t) {
    return t->largest;
}

/* Halves away from zero; 0 where a faulty model has no tap. */
static int32_t average(const taps *t) {
    const int32_t half = t->count / 2;
    return t->count > 0 ? (t->sum > 0 ? t->sum + half : t->sum - half) / t->count : 0;
}

static void pool(const nano_pool_params *p, const nano_io *io, int32_t (*of)(const taps *)) {
    const nano_window *const window = &p->window;
    const int16_t *const in = (const int16_t *)io->in[0];
    int16_t *out = (int16_t *)io->out;
    for (uint32_t y = 0; y < window->out_h; y++) {
        const nano_taps rows = nano_clip_rows(window, y);
        for (uint32_t x = 0; x < window->out_w; x++) {
            const nano_view v = nano_look(window, rows, y, x);
            for (uint32_t c = 0; c < window->out_c; c++) {
                const taps t = look(&v, in + c);
                *out++ = nano_clamp_int16(of(&t), p->min, p->max);
            }
        }
    }
}

void nano_max_pool_int16(const void *params, const nano_io *io) {
    pool((const nano_pool_params *)params, io, largest);
}

void nano_average_pool_int16(const void *params, const nano_io *io) {
    pool((const nano_pool_params *)params, io, average);
}
