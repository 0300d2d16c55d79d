/* sum.h - what additions share (internal). */
#ifndef NANO_SUM_H
#define NANO_SUM_H

#include "nano/requant.h"

/* Fractional bits that keep the rounding of a summand far below the output's. */
#define NANO_SUM_HEADROOM_BITS 20
#define NANO_SUM_HEADROOM (1 << NANO_SUM_HEADROOM_BITS)

/* An operand brought to the common scale; factors are at most 1/2, so that two stay below 2^29. */
static inline int32_t nano_summand(int8_t q, int32_t zero_point, const nano_factor *factor) {
    return nano_multiply((q - zero_point) * NANO_SUM_HEADROOM, factor);
}

/* An element of a convolution's result, `a`, and one of what is added to it. */
static inline int8_t nano_conv2d_added(const nano_conv2d_add_params *p, int8_t a, int8_t b) {
    const int32_t total = nano_summand(a, p->conv.requant.zero_point, &p->a_factor) +
                          nano_summand(b, p->b_zero_point, &p->b_factor);
    return nano_store_result(nano_multiply(total, &p->out_factor), &p->store);
}

#endif
