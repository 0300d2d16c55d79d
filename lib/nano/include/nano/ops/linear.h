/* nano/ops/linear.h - sums of products: dense layers and convolutions. Order and overlap: ops.h. */
#ifndef NANO_OPS_LINEAR_H
#define NANO_OPS_LINEAR_H

#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* out[r, o] = requantize(bias[o] + sum_i in[r, i] * weights[o, i]) */
typedef struct {
    const int8_t *weights; /* [out_features][in_features] */
    const int32_t *bias;   /* [out_features], with -zero_point(in) * sum(weights) folded in */
    nano_requant requant;
    uint16_t rows; /* independent input rows; 1 for a vector */
    uint32_t in_features;
    uint16_t out_features;
} nano_dense_params;
void nano_dense(const void *params, const nano_io *io);

/* out[y, x, o] = requantize(bias[o] + sum_{i,j,c} in[y*sh + i*dh - pt, x*sw + j*dw - pl, g*cg + c]
 * * w[o, i, j, c]) where group g of `groups` holds out_c / groups outputs and cg = in_c / groups
 * inputs. Outside the input stands its zero point. */
typedef struct {
    const int8_t *weights; /* [out_c][kernel_h][kernel_w][in_c / groups] */
    const int32_t *bias;   /* [out_c], with -zero_point(in) * sum(weights) folded in */
    nano_requant requant;
    nano_window window;
    uint16_t groups;       /* divides in_c and out_c; 1 for an ordinary convolution */
    int16_t in_zero_point; /* fills the padding */
} nano_conv2d_params;
void nano_conv2d(const void *params, const nano_io *io);

/* A convolution and the max pool behind it, without the image between them:
 * out[y, x, o] = requantize(max_{i,j} of conv2d's accumulators at [y*sh + i - pt, x*sw + j - pl,
 * o]) over the pool's taps inside conv2d's image. Of the accumulators, acc * 2^left must not leave
 * int32, so that requantization never falls as acc rises. */
typedef struct {
    nano_conv2d_params conv; /* requant clamps as convolution and pool together do */
    nano_window pool;        /* over the convolution's output; no dilation */
} nano_conv2d_max_pool_params;
void nano_conv2d_max_pool(const void *params, const nano_io *io); /* scratch: 4 * out_c bytes */

/* A convolution and the addition behind it, without the image between them:
 * out[y, x, o] = add(conv2d[y, x, o], in[1][y, x, o]), both as they are by themselves. */
typedef struct {
    nano_conv2d_params conv;
    int16_t b_zero_point;           /* of in[1] */
    nano_factor a_factor, b_factor; /* as in nano_add_params; a is the convolution's result */
    nano_factor out_factor;
    nano_store store;
} nano_conv2d_add_params;
void nano_conv2d_add(const void *params, const nano_io *io); /* scratch: out_c bytes */

/* A convolution with as many groups as input channels:
 * out[y, x, o] = requantize(bias[o] + sum_{i,j} in[y*sh + i*dh - pt, x*sw + j*dw - pl, o / m]
 * * w[i, j, o]), m = out_c / in_c. Outside the input stands its zero point. */
typedef struct {
    const int8_t *weights; /* [kernel_h][kernel_w][out_c]: channels innermost, as in the image */
    const int32_t *bias;   /* [out_c], with -zero_point(in) * sum(weights) folded in */
    nano_requant requant;
    nano_window window;    /* in_c divides out_c */
    int16_t in_zero_point; /* fills the padding */
} nano_depthwise_conv2d_params;
void nano_depthwise_conv2d(const void *params, const nano_io *io);

/* Transposed convolution: every input pixel adds its kernel into the output, stride apart;
 * out[y, x, o] = requantize(bias[o] + sum (in[v, u, c] - zero_point(in)) * w[o, i, j, c]) over all
 * v, u, i, j, c with v*sh + i = y + pt and u*sw + j = x + pl. How many terms a pixel has depends
 * on where it lies, so the input's zero point is not folded: here
 * |bias[o]| + 255 * sum |weights[o]| < 2^31. */
typedef struct {
    const int8_t *weights; /* [out_c][kernel_h][kernel_w][in_c] */
    const int32_t *bias;   /* [out_c], as it is */
    nano_requant requant;
    nano_window window; /* stride: of the output; padding: cut off the output; dilation 1 */
    int16_t in_zero_point;
} nano_conv_transpose2d_params;
void nano_conv_transpose2d(const void *params, const nano_io *io);

/* out[p, q, m, n] = store(factor * sum_k (a - a_zero_point) * (b - b_zero_point)) with
 * a[p*a_batch[0] + q*a_batch[1] + m*a_row + k*a_step] and
 * b[p*b_batch[0] + q*b_batch[1] + n*b_column + k*b_step]; a stride of 0 broadcasts. */
typedef struct {
    const int8_t *a, *b; /* an operand in flash, or NULL: the next of io->in. Not both in flash */
    uint32_t batch[2];   /* p, q; unused: 1 */
    uint32_t a_batch[2], b_batch[2];
    uint32_t rows, columns;
    uint32_t depth; /* at most 32768 */
    uint32_t a_row, a_step, b_column, b_step;
    int16_t a_zero_point, b_zero_point;
    nano_factor factor; /* scale(a) * scale(b) / scale(out) */
    nano_store store;
} nano_matmul_params;
void nano_matmul(const void *params, const nano_io *io);

/* out[r, p, c] = requantize(bias[c] + weights[c] * normalized[r, p, c]). Normalized, with 12 bits
 * behind the point, is the input less the mean of the n elements that share r and the group of c,
 * over their standard deviation: of each row, or (rows 1) over all positions. */
typedef struct {
    const int8_t *weights; /* [channels] */
    const int32_t *bias;   /* [channels], at 2^-12 * scale(weights); below 2^31 - 2^27 */
    nano_requant requant;
    uint32_t rows, positions;
    uint32_t channels,
        groups; /* groups divides channels; n = positions * channels / groups < 2^16 */
    uint32_t epsilon_high, epsilon_low; /* n^2 * epsilon / scale(in)^2, at most 2^59 */
    uint16_t centered;                  /* 0: the mean counts as 0 (RMS norm) */
    int16_t in_zero_point;
} nano_norm_params;
void nano_norm(const void *params,
               const nano_io *io); /* scratch: 12 * groups bytes, aligned to 4 */

#ifdef __cplusplus
}
#endif
#endif
