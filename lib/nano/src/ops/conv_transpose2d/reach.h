/* reach.h - which taps of a transposed convolution reach an output position (internal). */
#ifndef NANO_CONV_TRANSPOSE2D_REACH_H
#define NANO_CONV_TRANSPOSE2D_REACH_H

#include <stdint.h>

/* The taps of one axis that reach an output position: kernel index `tap`, then every stride-th
 * after it; the first belongs to input index `index`, each further one to the index before. */
typedef struct {
    uint32_t tap, index, count;
} nano_reach;

/* `at` is the output position plus padding. */
static inline nano_reach nano_find_reach(uint32_t at, uint32_t stride, uint32_t kernel,
                                         uint32_t size) {
    nano_reach r = {at % stride, at / stride, 0};
    if (r.index >= size) { /* skip those beyond the input's end */
        r.tap += (r.index - (size - 1)) * stride;
        r.index = size - 1;
    }
    if (r.tap < kernel) {
        const uint32_t taps = (kernel - 1 - r.tap) / stride + 1;
        r.count = taps < r.index + 1 ? taps : r.index + 1;
    }
    return r;
}

#endif
