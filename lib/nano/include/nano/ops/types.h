/* nano/ops/types.h - the parts that the parameters of several kernels share. */
#ifndef NANO_OPS_TYPES_H
#define NANO_OPS_TYPES_H

#include <stdint.h>

#include "nano/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How an int32 accumulator becomes an int8 output (TensorFlow Lite's scheme, rounding twice):
 * q = clamp(zero_point + round(round(acc * 2^left * multiplier / 2^31) / 2^right), min, max)
 * where shift = left if positive, -right if negative. acc * 2^left and
 * the sum with zero_point are taken modulo 2^32. */
typedef struct {
    const int32_t *multiplier; /* Q31, each in [2^30, 2^31) or 0 */
    const int8_t *shift;       /* each in [-31, 30]; positive shifts left */
    uint16_t per_channel;      /* 1: one multiplier and shift a channel; 0: one for all */
    int16_t zero_point;        /* of the output, -128..127 */
    int16_t min, max;          /* clamp, -128..127: a fused ReLU, ReLU6, ... or the int8 range */
} nano_requant;

/* A real factor >= 0, multiplier * 2^(shift - 31); applied as above, rounding twice. */
typedef struct {
    int32_t multiplier; /* Q31, 0..2^31 - 1 */
    int8_t shift;       /* -31..30; positive shifts left */
} nano_factor;

/* The end of an int8 result: q = clamp(zero_point + result, min, max). */
typedef struct {
    int16_t zero_point; /* of the output, -128..127 */
    int16_t min, max;   /* clamp, -128..127: a fused ReLU, ReLU6, ... or the int8 range */
} nano_store;

/* The geometry that convolution and pooling share. Padding at the bottom and right follows from
 * the output's size. */
typedef struct {
    uint16_t in_h, in_w, in_c;
    uint16_t out_h, out_w, out_c;
    uint16_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t pad_top, pad_left;
    uint16_t dilation_h, dilation_w; /* 1: dense window */
} nano_window;

/* Where the pixels of a convolution go whose channels are blocks [stride_h][stride_w][channels] of
 * an output: block (y, x) begins at row y * stride_h - cut_top, column x * stride_w - cut_left;
 * what is outside is left out. */
typedef struct {
    uint16_t stride_h, stride_w;
    uint16_t cut_top, cut_left;
    uint16_t out_h, out_w, channels;
} nano_blocks;

#ifdef __cplusplus
}
#endif
#endif
