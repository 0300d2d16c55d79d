/* nano/ops/recurrent.h - layers that go through a sequence step by step. Order and overlap: ops.h.
 *
 * What such a layer remembers beside its output lies in io->in[1], the one input that is written:
 * the kernel finds there what was left by the step before and leaves what the next one is to find.
 */
#ifndef NANO_OPS_RECURRENT_H
#define NANO_OPS_RECURRENT_H

#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the layers with gates share: how the sums of each gate k become arguments,
 *
 *     of_x = saturate(factor * (bias + sum of x * weights)), of_h likewise of h;   both int16
 * and what is gone through. x: in[0] [steps][in_features]; h after each step: out [rows][units].
 * h before the first step lies in the row of out that is written last, and int8 [units] of
 * scratch are taken. A row of out needs all of its x and of the h before it. */
typedef struct {
    const int8_t *weights;     /* [units][gates][in_features, then units] */
    const int32_t *bias;       /* [units][gates][2: of x, of h], with the zero points folded in */
    const int32_t *multiplier; /* [gates][2]: a nano_factor each */
    const int8_t *shift;       /* [gates][2] */
    uint32_t in_features;
    uint16_t steps, units;
    uint16_t rows;      /* of out: steps, or 1 for h after the last step alone */
    uint8_t reverse;    /* 1: the last rows of x and out come first */
    uint8_t zeros;      /* 1: before the first step all is real 0, whatever lies there */
    nano_factor hidden; /* what comes out of a step, in units of h */
    nano_store store;   /* of h */
} nano_gates;

/* Long short-term memory; gates i, f, g, o. c: in[1], int16 [units].
 *
 *     a = saturate(of_x + of_h), 12 bits behind the point;  i, f, o = sigmoid(a), g = tanh(a)
 *     c = clamp(saturate(f * c) + saturate(i * g)), h = store(hidden * o * tanh(c)) */
typedef struct {
    nano_gates gates;           /* hidden: 2^-30 / scale(h) */
    int8_t cell_shift;          /* c * 2^cell_shift has 12 bits behind the point; -31..14 */
    int16_t cell_min, cell_max; /* within which c stays; the int16 range if nothing clips it */
    nano_factor write;          /* 2^-30 / scale(c) */
} nano_lstm_params;
void nano_lstm(const void *params, const nano_io *io);
void nano_lstm_dsp(const void *params, const nano_io *io); /* Armv7E-M */

/* Gated recurrent unit; gates r, z, n. Wide h: in[1], int16 [units], of scale 2^(shift - 15); it
 * stands for h before the first step.
 *
 *     r, z = sigmoid(saturate(of_x + of_h)), n = tanh(saturate(of_x + r * of_h)) / 2^shift
 *     h = n + z * (h - n), wide;  out = store(hidden * h)
 * Arguments have 12 bits behind the point. */
typedef struct {
    nano_gates gates; /* hidden: scale(wide h) / scale(h) */
    uint8_t shift;    /* 0..14 */
} nano_gru_params;
void nano_gru(const void *params, const nano_io *io);
void nano_gru_dsp(const void *params, const nano_io *io); /* Armv7E-M */

/* Elman's recurrent layer; one gate.
 *
 *     a = saturate(of_x + of_h);  h = store(hidden * f(a)),  f: tanh of 12 bits behind the point,
 * or max(a, 0) */
typedef struct {
    nano_gates gates;
    uint8_t relu; /* 0: tanh */
} nano_rnn_params;
void nano_rnn(const void *params, const nano_io *io);
void nano_rnn_dsp(const void *params, const nano_io *io); /* Armv7E-M */

/* A dense layer with a memory of its results (SVDF). x: in[0] [in_features]; memory: in[1],
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
void nano_svdf_dsp(const void *params, const nano_io *io); /* Armv7E-M */

#ifdef __cplusplus
}
#endif
#endif
