/* conv2d.c's equation, three pixels at a time (tile_dsp.c). Their windows are brought side by side
 * as halves first: straight from the image if all three lie inside it, else by way of copies in
 * which the zero point stands for what is outside. */
#include "nano/ops.h"

#include "tile_dsp.h"

#if NANO_SIMD

#define PIXELS NANO_TILE_PIXELS

/* What runs seldom stays out of the loop, with its registers and its stack. */
#if defined(__GNUC__)
#define SELDOM __attribute__((noinline))
#else
#define SELDOM
#endif

/* A convolution at work. Its image is one long row where pixels are independent of each other (a
 * kernel of 1x1 that visits all of them). A window's place is its first tap's; it may be outside.
 */
typedef struct {
    const nano_conv2d_dsp_params *params;
    const int8_t *in;
    int8_t *copies; /* [3][4 * quads], or the image with its padding */
    int32_t in_h, in_w, out_w, row_bytes, pad_left;
    int32_t inside_h, inside_w; /* windows that begin at 0..inside are whole; < 0: none is */
    int32_t last_byte;          /* where the last window that may be read from the image begins */
    int32_t last_row;           /* where the last row of windows begins that all may be read so */
    int32_t first, final;       /* output columns whose windows are inside, as to columns */
    int32_t x, top;             /* the next pixel's column, its window's row */
    nano_windows windows;       /* those of three pixels side by side, in the image */
    int32_t again, advance;     /* how often to move them on by `advance` bytes, before x is next */
} job;

/* `rows` rows of n bytes. */
static void copy(int8_t *out, uint32_t out_step, const int8_t *in, int32_t in_step, uint32_t n,
                 int32_t rows) {
    for (; rows > 0; rows--, out += out_step, in += in_step) {
        uint32_t at = 0;
        for (; at + 4 <= n; at += 4)
            nano_store_unaligned(out + at, nano_load_unaligned(in + at));
        for (; at < n; at++)
            out[at] = in[at];
    }
}

/* The window at (top, left), [kernel_h][pitch] bytes and what fills the last quad. */
static void copy_window(const job *j, int32_t top, int32_t left, int8_t *out) {
    const nano_conv2d_dsp_params *const p = j->params;
    const nano_window *const w = &p->window;
    const uint32_t zeros = (uint8_t)p->in_zero_point * 0x01010101u;
    const int32_t down = w->dilation_h, right = w->dilation_w, channels = w->in_c;
    int32_t rows[2] = {0, w->kernel_h}, columns[2] = {0, w->kernel_w}; /* those inside */
    while (rows[0] < rows[1] && top + rows[0] * down < 0)
        rows[0]++;
    while (rows[0] < rows[1] && top + (rows[1] - 1) * down >= j->in_h)
        rows[1]--;
    while (columns[0] < columns[1] && left + columns[0] * right < 0)
        columns[0]++;
    while (columns[0] < columns[1] && left + (columns[1] - 1) * right >= j->in_w)
        columns[1]--;
    for (uint32_t i = 0; i < p->quads; i++)
        nano_store_word(out + 4 * i, zeros);
    out += rows[0] * p->pitch;
    top += rows[0] * down;
    const int32_t run = right == 1 ? columns[1] - columns[0] : 1; /* taps side by side */
    for (int32_t i = columns[0]; i < columns[1]; i += run)
        copy(out + i * channels, p->pitch,
             j->in + top * j->row_bytes + (left + i * right) * channels, down * j->row_bytes,
             (uint32_t)(run * channels), rows[1] - rows[0]);
}

static void next_row(job *j) {
    j->x = 0;
    j->top += j->params->window.stride_h;
}

/* Bring in the windows of the next three of `count` pixels, some of which leave the image or stand
 * in the next row. Where there are fewer the last one stands for those that are missing, and is
 * computed again. */
static SELDOM void mixed_windows(job *j, uint32_t count) {
    const nano_conv2d_dsp_params *const p = j->params;
    nano_windows mixed = j->windows;
    for (uint32_t k = 0; k < PIXELS; k++) {
        const int32_t left = j->x * p->window.stride_w - j->pad_left;
        const int32_t place = j->top * j->row_bytes + left * p->window.in_c;
        if (j->top >= 0 && j->top <= j->inside_h && j->x >= j->first && j->x <= j->final &&
            place <= j->last_byte) {
            mixed.windows[k] = j->in + place;
        } else {
            int8_t *const out = j->copies + 4u * k * p->quads;
            copy_window(j, j->top, left, out);
            mixed.windows[k] = out;
            mixed.skips[k] = 0;
        }
        if (k + 1 < count && ++j->x == j->out_w)
            next_row(j);
    }
    nano_tile_widen_dsp(&mixed);
}

/* Where the windows of three pixels side by side lie; and more of them, if the row has more. */
static SELDOM void begin_run(job *j) {
    const nano_window *const w = &j->params->window;
    const int32_t step = w->stride_w * w->in_c;
    const int8_t *const at = j->in + j->top * j->row_bytes + j->x * step - j->pad_left * w->in_c;
    for (int32_t k = 0; k < (int32_t)PIXELS; k++)
        j->windows.windows[k] = at + k * step;
    j->x += PIXELS;
    j->again = (j->final + 1 - j->x) / (int32_t)PIXELS;
    j->x += j->again * (int32_t)PIXELS;
    if (j->x == j->out_w)
        next_row(j);
}

/* Bring in the windows of the next three of `count` pixels. */
static inline void next_windows(job *j, uint32_t count) {
    if (j->again > 0) {
        j->again--;
        for (uint32_t k = 0; k < PIXELS; k++)
            j->windows.windows[k] += j->advance;
    } else if (count < PIXELS || j->x < j->first || j->x + 2 > j->final || j->top < 0 ||
               j->top > j->last_row) {
        mixed_windows(j, count);
        return;
    } else {
        begin_run(j);
    }
    nano_tile_widen_dsp(&j->windows);
}

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* Copy the image to where the padding is part of it, as far as windows reach. */
static SELDOM void pad_image(job *j) {
    const nano_window *const w = &j->params->window;
    const int32_t channels = w->in_c, row_bytes = w->in_w * channels;
    const uint32_t zeros = (uint8_t)j->params->in_zero_point * 0x01010101u;
    j->in_h = (w->out_h - 1) * w->stride_h + (w->kernel_h - 1) * w->dilation_h + 1;
    j->in_w = (w->out_w - 1) * w->stride_w + w->kernel_w;
    j->row_bytes = j->in_w * channels;
    for (int32_t i = 0; i < j->in_h * j->row_bytes; i += 4)
        nano_store_word(j->copies + i, zeros);
    copy(j->copies + w->pad_top * j->row_bytes + w->pad_left * channels, (uint32_t)j->row_bytes,
         j->in, row_bytes, (uint32_t)(least(w->in_w, j->in_w - w->pad_left) * channels),
         least(w->in_h, j->in_h - w->pad_top));
    j->in = j->copies;
    j->pad_left = 0;
    j->top = 0;
}

/* The job of a layer. Where a row's last quad is filled, reading it goes beyond the window; it must
 * not go beyond the image. */
static job begin(const nano_conv2d_dsp_params *p, const int8_t *in, uint32_t *inputs) {
    const nano_window *const w = &p->window;
    const int32_t channels = w->in_c, span_h = (w->kernel_h - 1) * w->dilation_h + 1;
    job j = {.params = p, .in = in, .copies = (int8_t *)(inputs + 2u * PIXELS * p->quads)};
    const int all = w->kernel_h == 1 && w->kernel_w == 1 && w->stride_h == 1 && w->stride_w == 1 &&
                    w->in_h == w->out_h && w->in_w == w->out_w;
    j.in_h = all ? 1 : w->in_h;
    j.in_w = all ? w->in_h * w->in_w : w->in_w;
    j.out_w = all ? j.in_w : w->out_w;
    j.row_bytes = j.in_w * channels;
    j.pad_left = w->pad_left;
    j.top = -(int32_t)w->pad_top;
    if (p->padded)
        pad_image(&j);
    j.inside_h = j.in_h - span_h;
    j.inside_w = j.in_w - w->kernel_w;
    /* Behind a padded image there is room. */
    const int filled = p->pitch != w->kernel_w * channels && !p->padded;
    j.last_byte = j.inside_h * j.row_bytes + j.inside_w * channels -
                  (filled ? p->pitch - w->kernel_w * channels : 0);
    j.last_row = j.inside_h - filled;
    j.first = (j.pad_left + w->stride_w - 1) / w->stride_w;
    j.final = (j.inside_w + j.pad_left) / w->stride_w;
    j.final = least(j.final, j.out_w - 1);
    if (w->dilation_w != 1 || p->pitch % 4 != 0 || j.inside_h < 0 || j.inside_w < 0)
        j.final = -1;
    j.windows.quads = p->pitch % 4 == 0 ? p->pitch / 4u : p->quads; /* copies are one long row */
    j.windows.rows = p->pitch % 4 == 0 ? w->kernel_h : 1;
    for (uint32_t k = 0; k < PIXELS; k++)
        j.windows.skips[k] = (uint32_t)(w->dilation_h * j.row_bytes - p->pitch);
    j.windows.inputs = inputs;
    j.advance = (int32_t)PIXELS * w->stride_w * channels;
    return j;
}

/* The last one of an odd number of outputs: the even row of the pair at `weights`. */
static void last_output(const nano_tile *t, const int16_t *weights, uint32_t output,
                        int32_t (*requantize)(int32_t, const int32_t *)) {
    int32_t ready[4];
    for (uint32_t i = 0; i < 4; i++)
        ready[i] = (int32_t)nano_load_word(weights + 4 * t->quads + 2 * i);
    for (uint32_t k = 0; k < PIXELS; k++) {
        const uint32_t *inputs = t->inputs + NANO_TILE_SUMS + k;
        int32_t sum = 0;
        for (uint32_t i = 0; i < 2 * t->quads; i++, inputs += PIXELS)
            sum = nano_smlad(nano_sxtb16(nano_load_word(weights + 2 * i)), *inputs, sum);
        t->out[k][output] = (int8_t)requantize(sum, ready);
    }
}

/* All pixels, with one of the tile's two forms. */
static inline void convolve(const nano_conv2d_dsp_params *p, const nano_io *io,
                            void (*tile)(const nano_tile *),
                            int32_t (*requantize)(int32_t, const int32_t *)) {
    const uint32_t outputs = p->window.out_c;
    const uint32_t pixels = (uint32_t)p->window.out_h * p->window.out_w;
    uint32_t *const scratch = (uint32_t *)io->scratch, *const inputs = scratch + NANO_TILE_SUMS;
    job j = begin(p, (const int8_t *)io->in[0], inputs);
    nano_tile t = {.inputs = scratch, .quads = p->quads, .weights = p->weights};
    t.weights_end = p->weights + outputs / 2 * (4u * p->quads + NANO_TILE_SCALES);
    for (uint32_t i = 0; i < NANO_TILE_SUMS; i++)
        scratch[i] = 0;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t left = pixels; left != 0;) {
        const uint32_t count = left < PIXELS ? left : PIXELS;
        t.out[0] = out;
        t.out[1] = left > 1 ? out + outputs : out;
        t.out[2] = left > 2 ? out + 2 * outputs : t.out[1];
        next_windows(&j, left);
        if (outputs > 1)
            tile(&t);
        if (outputs % 2 != 0)
            last_output(&t, t.weights_end, outputs - 1, requantize);
        out += count * outputs;
        left -= count;
    }
    if (p->store.min > -128 || p->store.max < 127)
        nano_clamp_dsp((int8_t *)io->out, pixels * outputs, p->store.min, p->store.max);
}

void nano_conv2d_dsp(const void *params, const nano_io *io) {
    convolve((const nano_conv2d_dsp_params *)params, io, nano_tile_dsp, nano_requantize_ready_dsp);
}

void nano_conv2d_relu_dsp(const void *params, const nano_io *io) {
    convolve((const nano_conv2d_dsp_params *)params, io, nano_tile_relu_dsp,
             nano_requantize_ready_relu_dsp);
}

void nano_conv2d_long_dsp(const void *params, const nano_io *io) {
    convolve((const nano_conv2d_dsp_params *)params, io, nano_tile_long_dsp,
             nano_requantize_ready_dsp);
}

#endif
