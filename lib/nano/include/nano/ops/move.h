/* nano/ops/move.h - elements go elsewhere: transpose, slice, concat, pad, resize. Order and
 * overlap: ops.h. */
#ifndef NANO_OPS_MOVE_H
#define NANO_OPS_MOVE_H

#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* out[out_offset + sum i*out_stride] = in[in_offset + sum i*in_stride] over i0, i1, i2, i3. Writes
 * those bytes of the output only.
 *
 *     transpose   in_stride permuted
 *     slice       in_offset = its first element, in_stride times the slice's stride
 *     concat      one call an input: out_offset = where it begins in the output
 *
 * The last axis is the inner loop: make it long, and where both of its strides can be 1 let them;
 * merge axes at lowering. */
typedef struct {
    const int8_t *constant; /* the input in flash, or NULL: io->in[0] */
    uint32_t shape[4];      /* outermost first; unused leading ones are 1 */
    uint32_t in_offset, out_offset;
    uint32_t in_stride[4], out_stride[4]; /* elements; 0 for unused axes */
} nano_copy_params;
void nano_copy(const void *params, const nano_io *io);

/* out[i0, i1, i2, i3] = in[i0*stride[0] + i1*stride[1] + i2*stride[2] + i3*stride[3]]. What
 * nano_copy does, too, in fewer bytes of flash. */
typedef struct {
    uint16_t shape[4];  /* of the output, outermost first; unused leading ones are 1 */
    uint32_t stride[4]; /* elements of the input */
} nano_transpose_params;
void nano_transpose(const void *params, const nano_io *io);

/* out[o, k, i] = in[o, indices[k], i] */
typedef struct {
    const uint16_t *indices; /* [count], each < in_count */
    uint32_t outer;          /* product of the axes before the one that is gathered along */
    uint32_t in_count;       /* elements along it */
    uint32_t count;
    uint32_t inner; /* product of the axes behind it */
} nano_gather_params;
void nano_gather(const void *params, const nano_io *io);

/* out = in, with before[i] more elements in front of axis i and after[i] behind it. */
typedef struct {
    uint32_t shape[4]; /* of the input, outermost first; unused leading ones are 1 */
    uint32_t before[4], after[4];
    int8_t value; /* of the new elements */
} nano_pad_params;
void nano_pad(const void *params, const nano_io *io);

/* out[y, x, c] = in[rows[y], columns[x], c] */
typedef struct {
    const uint16_t *rows;    /* [out_h], each < the input's height */
    const uint16_t *columns; /* [out_w], each < in_w */
    uint16_t in_w;
    uint16_t out_h, out_w;
    uint16_t channels;
} nano_resize_nearest_params;
void nano_resize_nearest(const void *params, const nano_io *io);

/* Output row y lies at input row (y * step_h + start_h) / 2^10, columns likewise; out[y, x, c] is
 * interpolated linearly between the four pixels around, weights in 2^-10, halves away from zero. */
typedef struct {
    uint16_t in_h, in_w, out_h, out_w;
    uint16_t channels;
    int32_t step_h, step_w;   /* input rows or columns an output one, times 2^10; >= 0 */
    int32_t start_h, start_w; /* 0; with half_pixel_centers step / 2 - 2^9 */
} nano_resize_bilinear_params;
void nano_resize_bilinear(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
