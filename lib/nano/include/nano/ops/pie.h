/* nano/ops/pie.h - sums of products for the ESP32-S3, sixteen an instruction. Never run on silicon.
 *
 * As their forms in linear.h, for sums below 2^29 that are shifted right. Weights are int8, row by
 * row, aligned to 16 bytes, terms in sixteens; what the last one lacks is 0, and 16 more bytes are
 * read. Scales are the two words of src/pie.h, with -zero_point(in) * sum(weights) folded into the
 * bias. */
#ifndef NANO_OPS_PIE_H
#define NANO_OPS_PIE_H

#include "nano/ops/pool.h"
#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* nano_dense. A row of inputs is read whole before its outputs are written.
 * scratch: in_features bytes, rounded up to 16, and 12 more. */
typedef struct {
    const int8_t *weights; /* [out_features][in_features / 16, rounded up][16] */
    const int32_t *scales; /* [out_features][2] */
    uint16_t rows;
    uint16_t in_features;
    uint16_t out_features;
    nano_store store;
} nano_dense_pie_params;
void nano_dense_pie(const void *params, const nano_io *io);

/* nano_conv2d in one group, pixel by pixel in raster order; all that a pixel needs is read before
 * it is written. scratch: kernel_h * kernel_w * in_c bytes, rounded up to 16, and 12 more. */
typedef struct {
    const int8_t
        *weights; /* [out_c][terms / 16, rounded up][16], terms: [kernel_h][kernel_w][in_c] */
    const int32_t *scales; /* [out_c][2] */
    nano_window window;
    int16_t in_zero_point; /* fills the padding */
    nano_store store;
} nano_conv2d_pie_params;
void nano_conv2d_pie(const void *params, const nano_io *io);

/* nano_conv2d in one group and the pool behind it, by nano_conv2d_pie() and the pool's own kernel
 * (the portable one), as nano_conv2d_max_pool_mac16() does it.
 * scratch: pool.kernel_h rows of the convolution's outputs, rounded up to 16 bytes, and that of
 * `conv`. */
typedef struct {
    nano_conv2d_pie_params conv;
    nano_pool_params pool; /* no dilation; its image is what `conv` computes */
} nano_conv2d_pool_pie_params;
void nano_conv2d_max_pool_pie(const void *params, const nano_io *io);
void nano_conv2d_average_pool_pie(const void *params, const nano_io *io);

/* nano_depthwise_conv2d, sixteen outputs at a time. Sums with their bias stay below 2^19. Lines of
 * the image are brought into a ring before the first line of outputs that needs them is written.
 * scratch: 108 bytes, 16 * out_w, the ring's lines: (kernel_h - 1) * dilation_h + 1 by (out_w - 1)
 * * stride_w + (kernel_w - 1) * dilation_w + 1 pixels of out_c bytes, rounded up to 16; and
 * kernel_h addresses. */
typedef struct {
    const int8_t *weights; /* [out_c / 16, rounded up][48 + kernel_h * kernel_w * 16]: a block's
                              biases, -zero_point(in) * sum(weights) folded in, as QACC has them;
                              int8 [kernel_h][kernel_w][16]; 16 more bytes are read */
    const int32_t *scales; /* [out_c / 16, rounded up][16][3], the words of src/pie_lanes.h */
    nano_window window;
    int16_t in_zero_point; /* fills the padding */
    nano_store store;
} nano_depthwise_conv2d_pie_params;
void nano_depthwise_conv2d_pie(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
