/* nano/ops/recurrent.h - layers that go through a sequence step by step. Order and overlap: ops.h.
 *
 * What such a layer remembers lies in io->scratch: the kernel finds there what was left by the step
 * before and leaves what the next one is to find. */
#ifndef NANO_OPS_RECURRENT_H
#define NANO_OPS_RECURRENT_H

#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Long short-term memory. x: in[0] [steps][in_features]; h before the first step: in[1] [units], or
 * `initial`; c: scratch, int16 [units]; h after each step: out [steps][units].
 *
 *     a = saturate(factor * (bias + sum of x * weights) + factor * (bias + sum of h * weights))
 *     i, f, o = sigmoid(a), g = tanh(a)       each of its own a, 12 bits behind the point
 *     c = clamp(saturate(f * c) + saturate(i * g)), h = store(o * tanh(c))
 * A unit's output needs all of its step's x and of the h before it. */
typedef struct {
    const int8_t *weights;     /* [units][4: i f g o][in_features, then units] */
    const int8_t *initial;     /* [units], h at first; NULL: in[1] */
    const int32_t *bias;       /* [units][4][2: of x, of h], with the zero points folded in */
    const int32_t *multiplier; /* [4][2: of x, of h]: a nano_factor each, to 12 bits */
    const int8_t *shift;       /* [4][2] */
    uint16_t steps;
    uint32_t in_features;
    uint16_t units;
    int8_t cell_shift;          /* c * 2^cell_shift has 12 bits behind the point; -31..14 */
    int16_t cell_min, cell_max; /* within which c stays; the int16 range if nothing clips it */
    nano_factor write;          /* 2^-30 / scale(c) */
    nano_factor hidden;         /* 2^-30 / scale(h) */
    nano_store store;           /* of h */
} nano_lstm_params;
void nano_lstm(const void *params, const nano_io *io);

/* A dense layer with a memory of its results (SVDF). x: in[0] [in_features]; memory: scratch,
 * [units * rank filters][steps] int8 or int16, oldest step first; out: [units].
 *
 *     memory[f] loses its oldest step; newest = zero_point + saturate(feature * (sum of x *
 * weights)) out[u] = store(factor * (bias[u] + sum over rank filters and all steps of memory *
 * time)) Sums over time are modulo 2^32, a step of an int8 memory modulo 2^8. Each output needs all
 * of x. */
typedef struct {
    const int8_t *weights;     /* [filters][in_features] */
    const int32_t *offset;     /* [filters]: -zero_point(x) * sum(weights) */
    const int8_t *time;        /* [filters][steps], of an int8 memory; else NULL */
    const int16_t *time_int16; /* likewise of an int16 memory */
    const int32_t *bias;       /* [units], with -zero_point * sum(time) folded in */
    nano_factor feature;       /* scale(x) * scale(weights) / scale(memory) */
    nano_factor factor;        /* scale(memory) * scale(time) / scale(out) */
    uint32_t in_features;
    uint16_t units, rank, steps;
    int16_t zero_point; /* of the memory */
    nano_store store;
} nano_svdf_params;
void nano_svdf(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
