/* recur.h - the loop of layers with gates (internal). A kernel gives the step of one unit, which is
 * compiled into a loop of its own; what a step is made of is in nano/ops/recurrent.h. */
#ifndef NANO_RECUR_H
#define NANO_RECUR_H

#include "nano/ops.h"

#include "gates.h"
#include "nano/requant.h"

#define NANO_MOST_GATES 4

#define NANO_RECUR_INLINE __attribute__((always_inline)) static inline

/* Unit `u` after its sums: of_x and of_h, each with all gates; what it remembers beside h in
 * state[u], which is updated (NULL for a layer that remembers nothing). The new h. */
typedef int8_t nano_unit(const void *params, const int32_t *of_x, const int32_t *of_h,
                         int16_t *state, uint32_t u);

/* What comes out of a step, as h. */
static inline int8_t nano_hidden(const nano_gates *g, int32_t value) {
    return nano_store_result(nano_multiply(value, &g->hidden), &g->store);
}

/* The argument of a gate: both its sums. */
static inline int32_t nano_argument(const int32_t *of_x, const int32_t *of_h, uint32_t gate) {
    return nano_saturate_int16(of_x[gate] + of_h[gate]);
}

/* Where h goes after step `step`, counted in the order of time. */
static inline int8_t *nano_row(const nano_gates *g, const nano_io *io, uint32_t step) {
    const uint32_t place = g->reverse ? g->steps - 1u - step : step;
    return (int8_t *)io->out + (g->rows == 1 ? 0 : place * g->units);
}

/* What step `step` reads of x. */
static inline const int8_t *nano_step_of_x(const nano_gates *g, const nano_io *io, uint32_t step) {
    const uint32_t place = g->reverse ? g->steps - 1u - step : step;
    return (const int8_t *)io->in[0] + place * g->in_features;
}

/* h before the first step, where it lies or as it begins. */
static inline void nano_first_hidden(const nano_gates *g, const nano_io *io, int8_t *h) {
    const int8_t *const found = nano_row(g, io, g->steps - 1u);
    for (uint32_t u = 0; u < g->units; u++)
        h[u] = g->zeros ? (int8_t)g->store.zero_point : found[u];
}

/* What a layer remembers beside h, in[1]; set to zeros where it begins with them. */
static inline int16_t *nano_first_state(const nano_gates *g, const nano_io *io) {
    int16_t *const state = (int16_t *)io->in[1];
    for (uint32_t u = 0; g->zeros && u < g->units; u++)
        state[u] = 0;
    return state;
}

/* sums[k] += sum of in[i] * w[k * pitch + i] over i < n, of `gates` rows. */
typedef void nano_sums(const int8_t *in, uint32_t n, const int8_t *w, size_t pitch, uint32_t gates,
                       int32_t *sums);

NANO_RECUR_INLINE void nano_plain_sums(const int8_t *in, uint32_t n, const int8_t *w, size_t pitch,
                                       uint32_t gates, int32_t *sums) {
    for (uint32_t k = 0; k < gates; k++, w += pitch)
        for (uint32_t i = 0; i < n; i++)
            sums[k] += in[i] * w[i];
}

/* nano_scale() */
typedef int32_t nano_scaling(int32_t acc, int32_t multiplier, int shift);

/* All arguments of a unit from one part of them, 0: of x, 1: of h; sums of `n` products. */
NANO_RECUR_INLINE void nano_part(const nano_gates *g, uint32_t gates, uint32_t part,
                                 const int8_t *in, uint32_t n, const int8_t *w, const int32_t *bias,
                                 nano_sums sums, nano_scaling scale, int32_t *arguments) {
    for (uint32_t k = 0; k < gates; k++)
        arguments[k] = bias[2 * k + part];
    sums(in, n, w, (size_t)g->in_features + g->units, gates, arguments);
    for (uint32_t k = 0; k < gates; k++) {
        const uint32_t pair = 2 * k + part;
        const int32_t scaled = scale(arguments[k], g->multiplier[pair], g->shift[pair]);
        arguments[k] = nano_saturate_int16(scaled);
    }
}

/* Go through the sequence; io->scratch holds h before the first step. */
NANO_RECUR_INLINE void nano_recur(const void *params, const nano_gates *g, const nano_io *io,
                                  uint32_t gates, nano_sums sums, nano_scaling scale,
                                  nano_unit unit, int16_t *state) {
    const size_t pitch = (size_t)g->in_features + g->units;
    int8_t *const h = (int8_t *)io->scratch;
    for (uint32_t step = 0; step < g->steps; step++) {
        const int8_t *const x = nano_step_of_x(g, io, step), *w = g->weights;
        const int32_t *bias = g->bias;
        int8_t *const out = nano_row(g, io, step);
        for (uint32_t u = 0; u < g->units; u++, w += gates * pitch, bias += 2 * gates) {
            int32_t of_x[NANO_MOST_GATES], of_h[NANO_MOST_GATES];
            nano_part(g, gates, 0, x, g->in_features, w, bias, sums, scale, of_x);
            nano_part(g, gates, 1, h, g->units, w + g->in_features, bias, sums, scale, of_h);
            out[u] = unit(params, of_x, of_h, state, u);
        }
        for (uint32_t u = 0; u < g->units; u++)
            h[u] = out[u];
    }
}

#endif
