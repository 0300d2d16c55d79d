/* A group's channels are copied into an image of their own, and its outputs from one; a row of
 * blocks is computed in a row of its own, and so are the rows that a pool sees at once. */
#include "parts.h"

#if defined(__GNUC__)
#define NOINLINE __attribute__((noinline)) /* three times inlined it takes the stack of all */
#else
#define NOINLINE
#endif

/* Scratch is given out in whole pieces of this many bytes. */
static uint32_t rounded(uint32_t size) {
    return (size + 15u) & ~15u;
}

typedef uint32_t
#if defined(__GNUC__)
    __attribute__((may_alias))
#endif
    word;

/* `count` runs of n bytes. */
NOINLINE static void copy_runs(int8_t *out, uint32_t out_step, const int8_t *in, uint32_t in_step,
                               uint32_t n, uint32_t count) {
    const uintptr_t together = (uintptr_t)in | (uintptr_t)out | in_step | out_step | n;
    for (; count > 0; count--, in += in_step, out += out_step) {
        if (together % 4 == 0) {
            for (uint32_t i = 0; i < n; i += 4)
                *(word *)(void *)(out + i) = *(const word *)(const void *)(in + i);
        } else {
            for (uint32_t i = 0; i < n; i++)
                out[i] = in[i];
        }
    }
}

/* Rows first..end of the convolution, at least one tap of each of which is inside the image. */
static void some_rows(const void *params, const nano_window *window, uint32_t first, uint32_t end,
                      const nano_io *io, nano_part part) {
    const uint32_t top = first * window->stride_h, pad = window->pad_top; /* padding included */
    const uint32_t above = top > pad ? top - pad : 0;
    const uint32_t span = (window->kernel_h - 1u) * window->dilation_h + 1;
    nano_window one = *window;
    one.pad_top = (uint16_t)(top < pad ? pad - top : 0);
    const uint32_t read = (end - first - 1) * window->stride_h + span - one.pad_top;
    const uint32_t left = window->in_h - above;
    one.in_h = (uint16_t)(read < left ? read : left);
    one.out_h = (uint16_t)(end - first);
    const int8_t *const in = (const int8_t *)io->in[0] + above * window->in_w * window->in_c;
    const nano_io io_of_rows = {.in = {in}, .out = io->out, .scratch = io->scratch};
    part(params, 0, &one, &io_of_rows);
}

void nano_pooled_parts(const void *params, const nano_window *window, const nano_pool_params *pool,
                       const nano_io *io, nano_part part, nano_pooling pooling) {
    const nano_window *const w = &pool->window;
    const uint32_t row = (uint32_t)window->out_w * window->out_c;
    int8_t *const band = (int8_t *)io->scratch, *out = (int8_t *)io->out;
    nano_io made = {.in = {io->in[0]}, .scratch = band + rounded(w->kernel_h * row)};
    nano_pool_params one = *pool;
    one.window.out_h = 1;
    uint32_t first = 0, end = 0; /* the rows in the band */
    for (uint32_t y = 0; y < w->out_h; y++, out += (uint32_t)w->out_w * w->out_c) {
        const uint32_t top = y * w->stride_h; /* padding included */
        const uint32_t begin = top > w->pad_top ? top - w->pad_top : 0;
        const uint32_t last = top + w->kernel_h - w->pad_top;
        const uint32_t kept = end > begin ? end - begin : 0;
        if (kept > 0)
            copy_runs(band, 0, band + (begin - first) * row, 0, kept * row, 1);
        first = begin;
        end = last < w->in_h ? last : w->in_h;
        made.out = band + kept * row;
        if (begin + kept < end)
            some_rows(params, window, begin + kept, end, &made, part);
        one.window.in_h = (uint16_t)(end - begin);
        one.window.pad_top = (uint16_t)(begin + w->pad_top - top);
        const nano_io pooled = {.in = {band}, .out = out, .scratch = 0};
        pooling(&one, &pooled);
    }
}

void nano_grouped_parts(const void *params, const nano_window *window, uint32_t groups,
                        const nano_io *io, nano_part part) {
    const uint32_t n = window->in_c, m = window->out_c;
    const uint32_t pixels = (uint32_t)window->in_h * window->in_w;
    const uint32_t outputs = (uint32_t)window->out_h * window->out_w;
    int8_t *const image = (int8_t *)io->scratch, *const made = image + rounded(pixels * n);
    const nano_io one = {.in = {image}, .out = made, .scratch = made + rounded(outputs * m)};
    for (uint32_t g = 0; g < groups; g++) {
        copy_runs(image, n, (const int8_t *)io->in[0] + g * n, n * groups, n, pixels);
        part(params, g, window, &one);
        copy_runs((int8_t *)io->out + g * m, m * groups, made, m, m, outputs);
    }
}

/* Row q of blocks to where it belongs, without what is cut off. */
static void spread(const nano_window *window, const nano_blocks *b, uint32_t q, const int8_t *row,
                   int8_t *out) {
    const uint32_t channels = b->channels, run = b->stride_w * channels;
    for (uint32_t i = 0; i < b->stride_h; i++) {
        const uint32_t y = q * b->stride_h + i - b->cut_top; /* may be "negative" */
        if (y >= b->out_h)
            continue;
        int8_t *const line = out + y * b->out_w * channels;
        const uint32_t begin = b->cut_left * channels, end = begin + b->out_w * channels;
        /* Byte k of the row of outputs is byte k - begin of the line. */
        uint32_t p = 0, at = 0;
        for (; p < window->out_w; p++, at += run) {
            const int8_t *const block = row + p * window->out_c + i * run;
            const uint32_t first = at < begin ? begin - at : 0;
            const uint32_t last = at + run > end ? end - at : run;
            if (first == 0 && last == run && at + run * (window->out_w - p) <= end) {
                copy_runs(line + at - begin, run, block, window->out_c, run, window->out_w - p);
                break;
            }
            if (at < end && first < last)
                copy_runs(line + at + first - begin, 0, block + first, 0, last - first, 1);
        }
    }
}

void nano_transposed_parts(const void *params, const nano_window *window, const nano_blocks *blocks,
                           const nano_io *io, nano_part part) {
    int8_t *const row = (int8_t *)io->scratch;
    const uint32_t row_bytes = (uint32_t)window->in_w * window->in_c, taps = window->kernel_h;
    nano_window one = *window;
    one.out_h = 1;
    one.stride_h = 2; /* of no consequence, but not 1: then in_h and out_h are no image's */
    for (uint32_t q = 0; q < window->out_h; q++) {
        const uint32_t above = window->pad_top > q ? window->pad_top - q : 0;
        uint32_t first = q + above - window->pad_top; /* the first row inside */
        uint32_t rows = taps > above ? taps - above : 0;
        rows =
            first + rows > window->in_h ? (first < window->in_h ? window->in_h - first : 0) : rows;
        first = rows > 0 ? first : 0;
        one.in_h = (uint16_t)(rows > 0 ? rows : 1);
        one.pad_top = (uint16_t)(rows > 0 ? above : taps); /* taps: nothing is inside */
        const nano_io io_of_row = {.in = {(const int8_t *)io->in[0] + first * row_bytes},
                                   .out = row,
                                   .scratch =
                                       row + rounded((uint32_t)window->out_w * window->out_c)};
        part(params, 0, &one, &io_of_row);
        spread(window, blocks, q, row, (int8_t *)io->out);
    }
}
