/* conv2d.c's equation, two pixels at a time (tile_mve.c), from copies of their windows in which the
 * zero point stands for what is outside the image. */
#include "nano/ops.h"

#include "../../window.h"
#include "tile_mve.h"

#if NANO_MVE

/* What runs seldom stays out of the loop. */
#if defined(__GNUC__)
#define SELDOM __attribute__((noinline))
#else
#define SELDOM
#endif

/* A convolution at work. Its image is one long row where pixels are independent of each other (a
 * kernel of 1x1 that visits all of them). */
typedef struct {
    const nano_conv2d_mve_params *params;
    const int8_t *in;
    nano_window window;
    uint32_t y, x;                 /* the next pixel */
    uint32_t top, bottom;          /* rows top..bottom - 1 of pixels have windows inside, as to y */
    uint32_t left, right;          /* and these columns, as to x */
    uint32_t row_bytes, run_bytes; /* of the image, and of a window */
    nano_taps rows;                /* of the next pixel's window, inside the image */
} job;

/* Along one axis: the windows of outputs *begin..*end - 1 are inside; of none if *end == *begin. */
static void inside(uint32_t outputs, uint32_t stride, uint32_t pad, uint32_t span, uint32_t size,
                   uint32_t *begin, uint32_t *end) {
    const uint32_t fit = size + pad >= span ? (size + pad - span) / stride + 1 : 0;
    *begin = (pad + stride - 1) / stride;
    *end = fit < outputs ? fit : outputs;
    if (*end < *begin)
        *end = *begin;
}

static job begin(const nano_conv2d_mve_params *p, const int8_t *in) {
    job j = {.params = p, .in = in, .window = p->window};
    nano_window *const w = &j.window;
    const uint32_t pixels = (uint32_t)w->in_h * w->in_w;
    if (w->kernel_h == 1 && w->kernel_w == 1 && w->stride_h == 1 && w->stride_w == 1 &&
        w->in_h == w->out_h && w->in_w == w->out_w && pixels <= UINT16_MAX) {
        w->in_h = w->out_h = 1;
        w->in_w = w->out_w = (uint16_t)pixels;
    }
    j.row_bytes = (uint32_t)w->in_w * w->in_c;
    j.run_bytes = (uint32_t)w->kernel_w * w->in_c;
    inside(w->out_h, w->stride_h, w->pad_top, (w->kernel_h - 1u) * w->dilation_h + 1, w->in_h,
           &j.top, &j.bottom);
    inside(w->out_w, w->stride_w, w->pad_left, w->kernel_w, w->in_w, &j.left, &j.right);
    if (w->dilation_w != 1)
        j.right = j.left;
    j.rows = nano_clip_rows(w, 0);
    return j;
}

/* A window that is inside the image. Up to 15 bytes more are written. */
static inline void copy_inside(const job *j, int8_t *out) {
    const nano_window *const w = &j->window;
    const uint32_t whole = j->run_bytes & ~15u, rest = j->run_bytes & 15u;
    const uint32_t step = w->dilation_h * j->row_bytes;
    const int8_t *in = j->in + (j->y * w->stride_h - w->pad_top) * j->row_bytes +
                       (j->x * w->stride_w - w->pad_left) * w->in_c;
    for (uint32_t i = w->kernel_h; i > 0; i--, in += step, out += rest) {
        const int8_t *const end = in + whole, *from = in;
        for (; from != end; from += 16, out += 16)
            nano_store16(out, nano_load16(from));
        if (rest > 0)
            nano_store16(out, nano_load_few(from, rest));
    }
}

/* A window part of which is outside, or whose taps have gaps. */
static SELDOM void copy_clipped(const job *j, int8_t *out) {
    const nano_window *const w = &j->window;
    const nano_view v = nano_look(w, j->rows, j->y, j->x);
    const uint32_t channels = w->in_c, columns = v.columns.end - v.columns.begin;
    const uint32_t run = w->dilation_w == 1 ? columns : 1; /* taps side by side */
    const int8_t *in = j->in + v.start;
    nano_fill_mve(out, (int8_t)j->params->in_zero_point, 16u * j->params->steps);
    out += v.rows.begin * j->run_bytes + v.columns.begin * channels;
    for (uint32_t i = v.rows.begin; i < v.rows.end; i++) {
        for (uint32_t k = 0; k < columns; k += run)
            nano_copy_mve(out + k * channels, in + k * v.step, run * channels);
        in += v.row_step;
        out += j->run_bytes;
    }
}

/* Copy the window of the next pixel. */
static inline void copy_window(job *j, int8_t *out) {
    if (j->x - j->left < j->right - j->left && j->y - j->top < j->bottom - j->top)
        copy_inside(j, out);
    else
        copy_clipped(j, out);
    if (++j->x == j->window.out_w) {
        j->x = 0;
        j->rows = nano_clip_rows(&j->window, ++j->y);
    }
}

/* The one to three outputs behind the blocks. */
static void last_outputs(const nano_tile_mve_job *all, uint32_t outputs, uint32_t pixels,
                         void (*tile)(const nano_tile_mve_job *)) {
    const uint32_t whole = outputs / 4, rest = outputs % 4;
    int8_t few[8];
    nano_tile_mve_job last = *all;
    last.weights += 64 * whole * (1 + all->more);
    last.scales = all->scales_end;
    last.scales_end = last.scales + 8;
    last.out = few;
    last.apart = 4;
    tile(&last);
    for (uint32_t k = 0; k < pixels; k++) {
        for (uint32_t i = 0; i < rest; i++)
            all->out[k * outputs + 4 * whole + i] = few[4 * k + i];
    }
}

/* --- One to three outputs of windows that lie in the image as they are --- */

/* The sums of four windows of n terms, `apart` bytes apart, with one output's weights
 * [steps][4][16].
 */
static SELDOM nano_words four_sums(const int8_t *a, uint32_t apart, const int8_t *w, uint32_t n) {
    const int8_t *b = a + apart, *c = b + apart, *d = c + apart;
    int32_t e = 0, f = 0, g = 0, h = 0;
    for (uint32_t steps = n / 16; steps > 0; steps--, w += 64, a += 16, b += 16, c += 16, d += 16) {
        const nano_bytes v = nano_load16(w);
        e = nano_dot16_to(e, nano_load16(a), v);
        f = nano_dot16_to(f, nano_load16(b), v);
        g = nano_dot16_to(g, nano_load16(c), v);
        h = nano_dot16_to(h, nano_load16(d), v);
        NANO_POINTERS(a, b, c, d);
    }
    n %= 16;
    if (n > 0) {
        const nano_bytes v = nano_load16(w);
        e = nano_dot16_to(e, nano_load_few(a, n), v);
        f = nano_dot16_to(f, nano_load_few(b, n), v);
        g = nano_dot16_to(g, nano_load_few(c, n), v);
        h = nano_dot16_to(h, nano_load_few(d, n), v);
    }
    return nano_words_of(e, f, g, h);
}

/* One output of four windows. */
static inline nano_words few_outputs_of(const nano_conv2d_mve_params *p, const int8_t *in,
                                        uint32_t apart, uint32_t terms, uint32_t o) {
    const int32_t scale = p->scales[o];
    const nano_words sums = four_sums(in, apart, p->weights + 16 * o, terms);
    nano_words h = nano_high4_all(nano_add4_all(sums, scale >> 8), p->scales[4 + o]);
    h = nano_round4_all(nano_add4(h, nano_sign4(h)), (int8_t)(uint8_t)scale);
    return nano_saturate4(nano_add4_all(h, p->store.zero_point));
}

/* The outputs of the first `count` of four windows; all are there before one of them is written. */
static inline void few_pixels(const nano_conv2d_mve_params *p, const int8_t *in, uint32_t apart,
                              uint32_t terms, uint32_t count, int8_t *out) {
    const uint32_t outputs = p->window.out_c;
    const int32_t step = (int32_t)outputs;
    const nano_words places = nano_words_of(0, step, 2 * step, 3 * step);
    const nano_words first = few_outputs_of(p, in, apart, terms, 0);
    nano_words second = first;
    if (outputs > 1)
        second = few_outputs_of(p, in, apart, terms, 1);
    if (outputs > 2) {
        const nano_words third = few_outputs_of(p, in, apart, terms, 2);
        nano_scatter4_few(out + 2, places, third, count);
    }
    if (outputs > 1)
        nano_scatter4_few(out + 1, places, second, count);
    nano_scatter4_few(out, places, first, count);
}

void nano_conv2d_few_mve(const void *params, const nano_io *io) {
    const nano_conv2d_mve_params *const p = (const nano_conv2d_mve_params *)params;
    const nano_window *const w = &p->window;
    const uint32_t apart = (uint32_t)w->stride_w * w->in_c, in_row = (uint32_t)w->in_w * w->in_c;
    const uint32_t terms = (uint32_t)w->kernel_h * w->kernel_w * w->in_c;
    const int one_row = w->stride_h * in_row == w->out_w * apart; /* rows that run on */
    const uint32_t rows = one_row ? 1 : w->out_h;
    const uint32_t columns = one_row ? (uint32_t)w->out_h * w->out_w : w->out_w;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t y = 0; y < rows; y++) {
        const int8_t *in = (const int8_t *)io->in[0] + y * w->stride_h * in_row;
        for (uint32_t left = columns, count; left > 0; left -= count, in += count * apart) {
            count = left < 4 ? 1 : 4;
            few_pixels(p, in, count > 1 ? apart : 0, terms, count, out);
            out += count * w->out_c;
        }
    }
    if (p->store.min > -128 || p->store.max < 127)
        nano_clamp_mve((int8_t *)io->out, (uint32_t)w->out_h * w->out_w * w->out_c, p->store.min,
                       p->store.max);
}

static void convolve(const nano_conv2d_mve_params *p, const nano_io *io,
                     void (*tile)(const nano_tile_mve_job *)) {
    const uint32_t outputs = p->window.out_c;
    const uint32_t pixels = (uint32_t)p->window.out_h * p->window.out_w;
    int8_t *const windows = (int8_t *)io->scratch, *const out = (int8_t *)io->out;
    job j = begin(p, (const int8_t *)io->in[0]);
    nano_tile_mve_job t = {.windows = {windows, windows + 16u * p->steps},
                           .more = p->steps - 1u,
                           .weights = p->weights,
                           .apart = (int32_t)outputs,
                           .scales_end = p->scales + 8 * (outputs / 4),
                           .zero_point = p->store.zero_point,
                           .scales = p->scales};
    nano_fill_mve(windows, 0, 32u * p->steps + 16u);
    for (uint32_t pixel = 0; pixel < pixels; pixel += 2) {
        const uint32_t count = pixels - pixel > 1 ? 2 : 1;
        copy_window(&j, windows);
        if (count > 1) {
            copy_window(&j, windows + 16u * p->steps);
        } else { /* the only one stands for both */
            t.windows[1] = windows;
            t.apart = 0;
        }
        t.out = out + pixel * outputs;
        if (outputs >= 4)
            tile(&t);
        if (outputs % 4 != 0)
            last_outputs(&t, outputs, count, tile);
    }
    if (p->store.min > -128 || p->store.max < 127)
        nano_clamp_mve(out, pixels * outputs, p->store.min, p->store.max);
}

void nano_conv2d_mve(const void *params, const nano_io *io) {
    convolve((const nano_conv2d_mve_params *)params, io, nano_tile_mve);
}

void nano_conv2d_relu_mve(const void *params, const nano_io *io) {
    convolve((const nano_conv2d_mve_params *)params, io, nano_tile_relu_mve);
}

#endif
