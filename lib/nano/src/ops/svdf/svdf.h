/* svdf.h - what the variants of nano_svdf share (internal). */
#ifndef NANO_SVDF_H
#define NANO_SVDF_H

#include "nano/ops.h"

#include "nano/requant.h"

static inline int32_t nano_svdf_within(int32_t x, int32_t limit) {
    return x < -limit - 1 ? -limit - 1 : x > limit ? limit : x;
}

/* A filter's step, of its sum over x, as an int8 and as an int16 memory keeps it. */
static inline int8_t nano_svdf_step(const nano_svdf_params *p, int32_t sum) {
    const int32_t scaled = nano_multiply(sum, &p->feature);
    return (int8_t)(uint8_t)(nano_svdf_within(scaled, INT8_MAX) + p->zero_point);
}

static inline int16_t nano_svdf_step_int16(const nano_svdf_params *p, int32_t sum) {
    return (int16_t)nano_svdf_within(nano_multiply(sum, &p->feature), INT16_MAX);
}

/* An output, of its filters' sums over time. */
static inline int8_t nano_svdf_output(const nano_svdf_params *p, uint32_t sum) {
    return nano_store_result(nano_multiply((int32_t)sum, &p->factor), &p->store);
}

#endif
