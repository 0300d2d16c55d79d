/* The operators by their definitions: real zero points instead of folded ones, every tap tested
 * for being inside the image, int64 sums. Slow and obvious. */
#ifndef NAIVE_H
#define NAIVE_H

#include "nano/ops.h"

/* `bias` unfolded. */
void naive_dense(const nano_dense_params *p, const int32_t *bias, int32_t in_zero_point,
                 const int8_t *in, int8_t *out);
void naive_conv2d(const nano_conv2d_params *p, const int32_t *bias, const int8_t *in, int8_t *out);
/* `weights` as conv2d's, [out_c][kernel_h][kernel_w]. */
void naive_depthwise_conv2d(const nano_depthwise_conv2d_params *p, const int8_t *weights,
                            const int32_t *bias, const int8_t *in, int8_t *out);
void naive_conv_transpose2d(const nano_conv_transpose2d_params *p, const int8_t *in, int8_t *out);
void naive_max_pool(const nano_pool_params *p, const int8_t *in, int8_t *out);
void naive_average_pool(const nano_pool_params *p, const int8_t *in, int8_t *out);

/* The first input byte that output byte k of a convolution or pool (groups = channels) needs;
 * `none` if it needs none. */
int32_t naive_first_needed(const nano_window *w, int32_t groups, int32_t k, int32_t none);

/* Likewise for a transposed convolution. */
int32_t naive_first_reaching(const nano_window *w, int32_t k, int32_t none);

#endif
