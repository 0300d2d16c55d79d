/* sum.h - what additions share (internal). */
#ifndef NANO_SUM_H
#define NANO_SUM_H

#include "nano/requant.h"

/* Fractional bits that keep the rounding of a summand far below the output's. */
#define NANO_SUM_HEADROOM (1 << 20)

/* An operand brought to the common scale; factors are at most 1/2, so that two stay below 2^29. */
static inline int32_t nano_summand(int8_t q, int32_t zero_point, const nano_factor *factor) {
    return nano_multiply((q - zero_point) * NANO_SUM_HEADROOM, factor);
}

#endif
