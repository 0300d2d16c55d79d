/* conv2d.c's equation, three pixels at a time (tile_dsp.c). Their windows are brought side by side
 * as halves first: straight from the image where a kernel's row is whole words in it, else by way
 * of a copy, and with the zero point where the window leaves the image. */
#include "nano/ops.h"

#include "tile_dsp.h"

#if NANO_SIMD

typedef struct {
    const nano_conv2d_dsp_params *params;
    const int8_t *in;
    int8_t *copies; /* three windows, or three of their rows */
    nano_tile tile;
    uint32_t *inputs;                                      /* where the tile's begin */
    int32_t top[NANO_TILE_PIXELS], left[NANO_TILE_PIXELS]; /* of the pixels' windows */
} job;

static void copy(int8_t *out, const int8_t *in, uint32_t n) {
    for (; n >= 4; n -= 4, in += 4, out += 4)
        nano_store_unaligned(out, nano_load_unaligned(in));
    for (uint32_t i = 0; i < n; i++)
        out[i] = in[i];
}

static void fill(int8_t *out, int8_t value, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        out[i] = value;
}

/* One row of a window: `out` gets kernel_w * in_c bytes. */
static void copy_row(const job *j, int32_t row, int32_t left, int8_t *out) {
    const nano_window *const w = &j->params->window;
    const int8_t zero_point = (int8_t)j->params->in_zero_point;
    const uint32_t n = w->in_c;
    if (row < 0 || row >= w->in_h) {
        fill(out, zero_point, n * w->kernel_w);
        return;
    }
    const int8_t *const in = j->in + (uint32_t)row * w->in_w * n;
    if (left >= 0 && left + w->kernel_w <= w->in_w && w->dilation_w == 1) {
        copy(out, in + (uint32_t)left * n, n * w->kernel_w);
        return;
    }
    for (uint32_t i = 0; i < w->kernel_w; i++, left += w->dilation_w, out += n) {
        if (left < 0 || left >= w->in_w)
            fill(out, zero_point, n);
        else
            copy(out, in + (uint32_t)left * n, n);
    }
}

/* The inputs of a kernel whose rows are whole words in the image. */
static void gather_rows(job *j) {
    const nano_conv2d_dsp_params *const p = j->params;
    const nano_window *const w = &p->window;
    const uint32_t quads = p->segment / 4u;
    uint32_t *inputs = j->inputs;
    for (uint32_t i = 0; i < w->kernel_h; i++, inputs += 2 * NANO_TILE_PIXELS * quads) {
        const int8_t *rows[NANO_TILE_PIXELS];
        for (uint32_t k = 0; k < NANO_TILE_PIXELS; k++) {
            const int32_t row = j->top[k] + (int32_t)(i * w->dilation_h), left = j->left[k];
            if (row >= 0 && row < w->in_h && left >= 0 && left + w->kernel_w <= w->in_w) {
                rows[k] = j->in + ((uint32_t)row * w->in_w + (uint32_t)left) * w->in_c;
            } else {
                copy_row(j, row, left, j->copies + k * p->segment);
                rows[k] = j->copies + k * p->segment;
            }
        }
        nano_tile_widen_dsp(rows, quads, inputs);
    }
}

/* The inputs of any kernel: whole windows are copied. */
static void gather_windows(job *j) {
    const nano_conv2d_dsp_params *const p = j->params;
    const nano_window *const w = &p->window;
    const int8_t *windows[NANO_TILE_PIXELS];
    int8_t *out = j->copies;
    for (uint32_t k = 0; k < NANO_TILE_PIXELS; k++) {
        windows[k] = out;
        int8_t *row = out;
        for (uint32_t i = 0; i < w->kernel_h; i++, row += (uint32_t)w->kernel_w * w->in_c)
            copy_row(j, j->top[k] + (int32_t)(i * w->dilation_h), j->left[k], row);
        out += 4u * p->quads;
        fill(row, 0, (uint32_t)(out - row)); /* their weights are 0 */
    }
    nano_tile_widen_dsp(windows, p->quads, j->inputs);
}

/* The last one of an odd number of outputs: the even row of a pair. */
static void last_output(job *j, int32_t (*requantize)(int32_t, const int32_t *, int32_t)) {
    const nano_tile *const t = &j->tile;
    const uint32_t pairs = j->params->window.out_c / 2u;
    const int16_t *const w = t->weights + pairs * t->quads * 4;
    for (uint32_t k = 0; k < NANO_TILE_PIXELS; k++) {
        const uint32_t *inputs = j->inputs + k;
        int32_t sum = 0;
        for (uint32_t i = 0; i < 2 * t->quads; i++, inputs += NANO_TILE_PIXELS)
            sum = nano_smlad(nano_sxtb16(nano_load_word(w + 2 * i)), *inputs, sum);
        t->out[k][2 * pairs] = (int8_t)requantize(sum, t->scales_end, t->offset);
    }
}

/* Where windows and outputs of the next three pixels are; where fewer are left the first one stands
 * for those that are missing, and is computed again. */
static void place(job *j, uint32_t *y, uint32_t *x, uint32_t left, int8_t *out) {
    const nano_window *const w = &j->params->window;
    for (uint32_t k = 0; k < NANO_TILE_PIXELS; k++) {
        if (k >= left) {
            j->top[k] = j->top[0];
            j->left[k] = j->left[0];
            j->tile.out[k] = j->tile.out[0];
            continue;
        }
        j->top[k] = (int32_t)(*y * w->stride_h) - w->pad_top;
        j->left[k] = (int32_t)(*x * w->stride_w) - w->pad_left;
        j->tile.out[k] = out + k * w->out_c;
        if (++*x == w->out_w) {
            *x = 0;
            ++*y;
        }
    }
}

/* All pixels, by one of the tile's two forms. */
static inline void convolve(const nano_conv2d_dsp_params *p, const nano_io *io,
                            void (*tile)(const nano_tile *),
                            int32_t (*requantize)(int32_t, const int32_t *, int32_t)) {
    const nano_window *const w = &p->window;
    uint32_t *const scratch = (uint32_t *)io->scratch;
    const uint32_t pixels = (uint32_t)w->out_h * w->out_w, pairs = w->out_c / 2u;
    int8_t *out = (int8_t *)io->out;
    job j = {.params = p, .in = (const int8_t *)io->in[0]};
    j.inputs = scratch + NANO_TILE_SUMS;
    j.copies = (int8_t *)(j.inputs + 2u * NANO_TILE_PIXELS * p->quads);
    j.tile.scales = p->scales;
    j.tile.inputs = scratch;
    j.tile.quads = p->quads;
    j.tile.offset = 2 * p->store.zero_point + 1;
    j.tile.scales_end = p->scales + 4 * pairs;
    j.tile.weights = p->weights;
    for (uint32_t i = 0; i < NANO_TILE_SUMS; i++)
        scratch[i] = 0;
    uint32_t y = 0, x = 0;
    for (uint32_t done = 0; done < pixels; done += NANO_TILE_PIXELS) {
        place(&j, &y, &x, pixels - done, out);
        if (p->segment != 0)
            gather_rows(&j);
        else
            gather_windows(&j);
        if (pairs != 0)
            tile(&j.tile);
        if (w->out_c % 2 != 0)
            last_output(&j, requantize);
        out += (uint32_t)NANO_TILE_PIXELS * w->out_c;
    }
    if (p->store.min > -128 || p->store.max < 127)
        nano_clamp_dsp((int8_t *)io->out, pixels * w->out_c, p->store.min, p->store.max);
}

void nano_conv2d_dsp(const void *params, const nano_io *io) {
    convolve((const nano_conv2d_dsp_params *)params, io, nano_tile_dsp, nano_requantize_dsp);
}

void nano_conv2d_relu_dsp(const void *params, const nano_io *io) {
    convolve((const nano_conv2d_dsp_params *)params, io, nano_tile_relu_dsp,
             nano_requantize_relu_dsp);
}

#endif
