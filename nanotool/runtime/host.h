/* host.h - kernels for the computer that simulates: the library's formulas on vectors of outputs.
 *
 * They take the place of the portable kernels of the same name and give the same bytes; see
 * host.py. On x86-64 they come twice, the second time for processors with AVX2, of which the one at
 * work takes its own (host.c). */
#ifndef NANOTOOL_HOST_H
#define NANOTOOL_HOST_H

#include <stdint.h>

#include "nano/ops.h"

#define NANOTOOL_HOST_MAX_TERMS 16384 /* of a sum: a patch lies on the stack */
#define NANOTOOL_HOST_MAX_TAPS 256    /* of a depthwise window: so do pointers to them */

/* The outputs of a layer, eight side by side; zeros where they end. Of a grouped convolution each
 * group begins with a block of its own. */
typedef struct {
    const int16_t *weights; /* [blocks][pairs][8][2]: two terms of each output are one step */
    const int32_t *bias, *multiplier, *left, *right; /* [blocks][8]: as nano_requant, with
                                                      * shift = left - right, both >= 0 */
} nanotool_host_rows;

typedef struct {
    nano_dense_params op;
    nanotool_host_rows rows;
} nanotool_host_dense_params;
void nanotool_host_dense(const void *params, const nano_io *io);

typedef struct {
    nano_conv2d_params op;
    nanotool_host_rows rows;
} nanotool_host_conv2d_params;
void nanotool_host_conv2d(const void *params, const nano_io *io);

typedef struct {
    nano_conv2d_max_pool_params op; /* groups: 1 */
    nanotool_host_rows rows;
} nanotool_host_conv2d_max_pool_params;
void nanotool_host_conv2d_max_pool(const void *params, const nano_io *io);

typedef struct {
    nano_conv2d_add_params op;
    nanotool_host_rows rows;
} nanotool_host_conv2d_add_params;
void nanotool_host_conv2d_add(const void *params, const nano_io *io);

typedef struct {
    nano_depthwise_conv2d_params op; /* as many outputs as inputs */
    nanotool_host_rows rows;         /* terms: taps of the window */
    const int8_t *padding;           /* [in_c], each the zero point: a tap outside the image */
} nanotool_host_depthwise_conv2d_params;
void nanotool_host_depthwise_conv2d(const void *params, const nano_io *io);

/* Take the widest vectors that the processor has (1, as it is at first), or none (0): for tests.
 * Returns whether there are wider ones than the compiler may take anywhere. */
int nanotool_host_widest(int on);

#endif
