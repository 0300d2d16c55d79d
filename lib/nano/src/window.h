/* window.h - the part of a sliding window that lies inside the image (internal). */
#ifndef NANO_WINDOW_H
#define NANO_WINDOW_H

#include <stdint.h>

#include "nano/ops.h"

/* The taps of one axis that are inside: indices [begin, end), empty if begin == end. */
typedef struct {
    uint32_t begin, end;
} nano_taps;

/* Tap i of output position `out` stands at out*stride - pad + i*dilation; inside: 0 <= . < size. */
static inline nano_taps nano_clip(uint32_t out, uint32_t stride, uint32_t pad, uint32_t dilation,
                                  uint32_t kernel, uint32_t size) {
    nano_taps taps = {0, kernel};
    const uint32_t start = out * stride; /* in padded coordinates: inside is [pad, pad + size) */
    while (taps.begin < kernel && start + taps.begin * dilation < pad)
        taps.begin++;
    while (taps.end > taps.begin && start + (taps.end - 1) * dilation >= pad + size)
        taps.end--;
    return taps;
}

static inline nano_taps nano_clip_rows(const nano_window *w, uint32_t y) {
    return nano_clip(y, w->stride_h, w->pad_top, w->dilation_h, w->kernel_h, w->in_h);
}

static inline nano_taps nano_clip_columns(const nano_window *w, uint32_t x) {
    return nano_clip(x, w->stride_w, w->pad_left, w->dilation_w, w->kernel_w, w->in_w);
}

/* Where the taps inside the image begin, and how far apart they are; in elements of the input. */
typedef struct {
    nano_taps rows, columns;
    uint32_t start;          /* offset of the first inside tap, channel 0; 0 if there is none */
    uint32_t row_step, step; /* from a tap to the one below, to the one to its right */
} nano_view;

/* The view of output pixel (y, x) whose inside rows are `rows`. If no tap is inside, both ranges
 * are empty. */
static inline nano_view nano_look(const nano_window *w, nano_taps rows, uint32_t y, uint32_t x) {
    nano_view v = {rows, nano_clip_columns(w, x), 0, 0, 0};
    v.step = (uint32_t)w->dilation_w * w->in_c;
    v.row_step = (uint32_t)w->dilation_h * w->in_w * w->in_c;
    if (v.rows.begin == v.rows.end || v.columns.begin == v.columns.end) {
        v.rows.end = v.rows.begin;
        v.columns.end = v.columns.begin;
        return v;
    }
    const uint32_t row = y * w->stride_h + v.rows.begin * w->dilation_h - w->pad_top;
    const uint32_t column = x * w->stride_w + v.columns.begin * w->dilation_w - w->pad_left;
    v.start = (row * w->in_w + column) * w->in_c;
    return v;
}

/* The same in a row of pixels: where a window lies inside the image whole, as to its columns, and
 * that of pixel x - 1, which `v` is, does too, it is that one moved on, and 1 is returned. */
static inline int nano_look_next(const nano_window *w, nano_taps rows, uint32_t y, uint32_t x,
                                 nano_view *v) {
    const uint32_t column = x * w->stride_w, span = (w->kernel_w - 1u) * w->dilation_w + 1;
    if (x > 0 && column - w->stride_w >= w->pad_left &&
        column + span <= (uint32_t)w->pad_left + w->in_w) {
        v->start += (uint32_t)w->stride_w * w->in_c;
        return 1;
    }
    *v = nano_look(w, rows, y, x);
    return 0;
}

#endif
