/* parts.h - convolutions that are several plain ones, each by a kernel there is (internal): in
 * groups, transposed, and those behind which a pool stands.
 *
 * A transposed convolution with stride s is a plain one whose pixels are blocks of s x s outputs:
 * an output that is a rows below its block's begin sees the taps a, a + s, a + 2 s, ... alone. */
#ifndef NANO_CONV2D_PARTS_H
#define NANO_CONV2D_PARTS_H

#include "nano/ops.h"

/* Computes one part, `number` of several, with the kernel's `params`; `window` is its geometry. */
typedef void (*nano_part)(const void *params, uint32_t number, const nano_window *window,
                          const nano_io *io);

/* All groups. `window` is one group's: in_c and out_c are its channels. */
void nano_grouped_parts(const void *params, const nano_window *window, uint32_t groups,
                        const nano_io *io, nano_part part);

/* A pool's kernel. */
typedef void (*nano_pooling)(const void *params, const nano_io *io);

/* All rows of `pool`, whose image is what the convolution computes; number is always 0. As many of
 * its rows as a window of the pool has are there at a time, each computed once. */
void nano_pooled_parts(const void *params, const nano_window *window, const nano_pool_params *pool,
                       const nano_io *io, nano_part part, nano_pooling pooling);

/* All rows of blocks; number is always 0. `window` is that of the convolution of blocks: out_c is
 * [stride_h][stride_w][channels of the output]. */
void nano_transposed_parts(const void *params, const nano_window *window, const nano_blocks *blocks,
                           const nano_io *io, nano_part part);

#endif
