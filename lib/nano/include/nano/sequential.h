/* nano/sequential.h - build a model at run time, layer by layer, in an arena.
 *
 * For weights that arrive at run time (a file, the serial line, a Python list) rather than through
 * a generated source. The ops, their parameters and folded biases are taken from the arena;
 * weights, multipliers, shifts and tables stay the caller's and must outlive the net. Layers use
 * the portable kernels.
 *
 *     nano_sequential seq;
 *     nano_shape shape = {28, 28, 1};
 *     nano_sequential_begin(&seq, &arena, 8, shape, 0.0078f, 0);
 *     nano_sequential_conv2d(&seq, &conv);
 *     nano_sequential_dense(&seq, &fc);
 *     nano_sequential_end(&seq, &net);     // net runs like a generated model
 *
 * A call that fails adds nothing, and the arena is as it was before it. */
#ifndef NANO_SEQUENTIAL_H
#define NANO_SEQUENTIAL_H

#include "nano/model.h"
#include "nano/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint16_t h, w, c; /* a vector of n features is 1, 1, n */
} nano_shape;

/* A model under construction. The fields are the library's; `shape`, `scale` and `zero_point`
 * (of the newest layer's output) may be read. */
typedef struct {
    nano_arena *arena;
    nano_op *ops;
    uint16_t op_count, op_capacity;
    nano_shape input;
    float input_scale;
    int16_t input_zero_point;
    nano_shape shape;
    float scale;
    int16_t zero_point;
    size_t begin; /* arena checkpoint: all of this model lies behind it */
} nano_sequential;

/* A quantized layer's output: how accumulators are brought to it and what its bytes mean. */
typedef struct {
    nano_requant
        requant; /* multiplier and shift arrays: one an output channel, or one (per_channel 0) */
    float scale; /* of the output; only reported, the integers do not depend on it */
} nano_layer_output;

typedef struct {
    const int8_t *weights; /* [out_features][in_features]; in_features is the input's c */
    const int32_t *bias;   /* [out_features], unfolded; NULL for none */
    uint16_t out_features;
    nano_layer_output output;
} nano_dense_layer;

typedef struct {
    const int8_t *weights; /* [out_c][kernel_h][kernel_w][in_c / groups] */
    const int32_t *bias;   /* [out_c], unfolded; NULL for none */
    uint16_t out_c;
    uint16_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t pad_top, pad_left, pad_bottom, pad_right;
    uint16_t dilation_h, dilation_w;
    uint16_t groups;
    nano_layer_output output;
} nano_conv2d_layer;

typedef struct {
    uint16_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t pad_top, pad_left, pad_bottom, pad_right;
} nano_pool_layer;

/* Start a model of at most `max_layers` (>= 1) layers whose input has `shape`, `scale` (> 0),
 * `zero_point` (-128..127). NANO_ERR_ARGUMENT, NANO_ERR_RANGE for a bad scale, NANO_ERR_SHAPE if it
 * is empty or has more than 2^30 elements, NANO_ERR_MEMORY if the ops do not fit. */
nano_status nano_sequential_begin(nano_sequential *seq, nano_arena *arena, uint16_t max_layers,
                                  nano_shape shape, float scale, int16_t zero_point);

/* Each adds one layer behind the newest one. NANO_ERR_ARGUMENT for a NULL, a size of 0, a bad zero
 * point or clamp, NANO_ERR_SHAPE if it does not fit there, NANO_ERR_MEMORY if the arena or
 * `max_layers` is full, NANO_ERR_RANGE for a bad scale, multiplier or shift or sums that could
 * overflow (nano/ops.h), NANO_ERR_STATE before begin or after end (`seq` zeroed by you before
 * begin).
 *
 * Dense works on the last axis: every pixel's c features by themselves; flatten first for one
 * dense layer over all. A pool's padding must be narrower than its window. */
nano_status nano_sequential_dense(nano_sequential *seq, const nano_dense_layer *layer);
nano_status nano_sequential_conv2d(nano_sequential *seq, const nano_conv2d_layer *layer);
nano_status nano_sequential_max_pool(nano_sequential *seq, const nano_pool_layer *layer);
nano_status nano_sequential_average_pool(nano_sequential *seq, const nano_pool_layer *layer);
nano_status nano_sequential_table(nano_sequential *seq, const int8_t table[256], float scale,
                                  int16_t zero_point);
nano_status nano_sequential_softmax(nano_sequential *seq, float beta);
nano_status nano_sequential_flatten(nano_sequential *seq); /* no op: H, W, C becomes 1, 1, H*W*C */

/* Bytes that the finished model still needs, its two activation buffers and its descriptor, if
 * nothing is taken in between; 0 before begin and after end. */
size_t nano_sequential_remaining(const nano_sequential *seq);

/* Take the activations and make `net` ready; the model is complete, `seq` is no longer needed.
 * NANO_ERR_STATE if no layer but flatten was added, NANO_ERR_MEMORY if remaining() bytes do not
 * fit: make room and call again. */
nano_status nano_sequential_end(nano_sequential *seq, nano_net *net);

#ifdef __cplusplus
}
#endif
#endif
