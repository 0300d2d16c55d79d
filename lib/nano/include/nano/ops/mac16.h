/* nano/ops/mac16.h - sums of products for Xtensa cores with MAC16, as the ESP32's.
 *
 * As their forms in scalar.h, with weights of two bytes: nearly one instruction a product. Scales
 * are scalar.h's. Weights are int16, row by row, terms in fours; where the inputs that stand side
 * by side (a pixel's, a row's) are whole words in the order 0, 2, 1, 3. What the last four lacks is
 * 0, and eight more bytes are read.
 *
 * Kernels called "bytes" take half the flash and a bit more than two instructions a product:
 * weights are uint8, 128 larger, those of a four in the order 0, 2, 1, 3 where the others' are in
 * that of 0, 1, 2, 3, and the other way round; what the last four lacks is 0, and none are read
 * ahead. Their parameters are scalar.h's. */
#ifndef NANO_OPS_MAC16_H
#define NANO_OPS_MAC16_H

#include "nano/ops/scalar.h"

#ifdef __cplusplus
extern "C" {
#endif

/* nano_dense. A row of inputs is read whole before its outputs are written.
 * scratch: 2 * in_features bytes, rounded up to 8, and 4 more. */
typedef struct {
    const int16_t *weights; /* [out_features][in_features / 4, rounded up][4] */
    const int32_t *scales;  /* [out_features][3 or 2] */
    uint16_t rows;
    uint16_t in_features;
    uint16_t out_features;
    uint16_t wide; /* 1: scales have two words */
    uint16_t unit; /* of the scaling; 0: zero_point is -128, or `wide` is 1 */
    nano_store store;
} nano_dense_mac16_params;
void nano_dense_mac16(const void *params, const nano_io *io);
void nano_dense_bytes_mac16(const void *params, const nano_io *io);

/* nano_conv2d in one group, pixel by pixel in raster order; all that a pixel needs is read before
 * it is written. scratch: 2 * kernel_h * kernel_w * in_c bytes, rounded up to 8, and 4 more. */
typedef struct {
    const int16_t
        *weights; /* [out_c][terms / 4, rounded up][4], terms: [kernel_h][kernel_w][in_c] */
    const int32_t *scales; /* [out_c][3 or 2] */
    nano_window window;
    uint16_t wide;         /* 1: scales have two words */
    uint16_t unit;         /* of the scaling; 0: zero_point is -128, or `wide` is 1 */
    int16_t in_zero_point; /* fills the padding */
    nano_store store;
} nano_conv2d_mac16_params;
void nano_conv2d_mac16(const void *params, const nano_io *io);
void nano_conv2d_bytes_mac16(const void *params, const nano_io *io);

/* nano_depthwise_conv2d, as its form in scalar.h says, but planes are of halves, and `pitch` counts
 * them: an even number. Weights are bytes in flash; a channel's are unpacked before it is computed.
 * scratch: 4 * (together * (outputs a line) + 1) for sums; 8 * (lines * (fours + odd) + 1) for
 * weights, where fours = taps / 4 rounded up, and odd the same of one tap more where `along` is
 * odd, else 0, a gap's places being taps; 8 * pitch * lines in the planes; 8 * (fours or odd, the
 * larger) + 4 that are read. */
void nano_depthwise_conv2d_mac16(const void *params, const nano_io *io);
/* 3 x 3 taps, dilation 1 and stride 1 or 2 along a line. pitch: (outputs, rounded up to an even
 * number where `along` is 1) * along + 2; weights take 20 bytes of scratch, and none are read
 * ahead. */
void nano_depthwise_conv2d_3x3_mac16(const void *params, const nano_io *io);

/* nano_conv2d in one group and the pool behind it, by nano_conv2d_mac16() and the pool's own kernel
 * (the portable one), in turn: a window of the pool at a time sees as many rows of the
 * convolution as it has, each of which is computed once. All that a row of the pool needs is read
 * before it is written.
 * scratch: pool.kernel_h rows of the convolution's outputs, rounded up to 16 bytes, and that of
 * `conv`. */
typedef struct {
    nano_conv2d_mac16_params conv;
    nano_pool_params pool; /* no dilation; its image is what `conv` computes */
} nano_conv2d_pool_mac16_params;
void nano_conv2d_max_pool_mac16(const void *params, const nano_io *io);
void nano_conv2d_average_pool_mac16(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
