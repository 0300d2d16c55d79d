/* nano/ops/pool.h - many elements become one: pools and means. Order and overlap: ops.h. */
#ifndef NANO_OPS_POOL_H
#define NANO_OPS_POOL_H

#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Max pool leaves padding out; average pool leaves it out of the sum and of the count.
 * max = clamp(largest); avg = clamp(sum / count, rounded half away from zero). Input and output
 * share scale and zero point. */
typedef struct {
    nano_window window; /* in_c == out_c; dilation applies to both */
    int16_t min, max;   /* clamp, -128..127 */
} nano_pool_params;
void nano_max_pool(const void *params, const nano_io *io);
void nano_average_pool(const void *params, const nano_io *io);
/* The same with the DSP instructions of Armv7E-M, four channels at a time: at least 4 channels, and
 * for the average at most 256 taps. */
void nano_max_pool_dsp(const void *params, const nano_io *io);
void nano_average_pool_dsp(const void *params, const nano_io *io);

/* Mean over any axes: out[k0, k1] = store(scale(offset + sum_{r0,r1} in[k0*kept_stride[0]
 * + k1*kept_stride[1] + r0*reduced_stride[0] + r1*reduced_stride[1]])). Axes of the input that lie
 * side by side and are both kept, or both reduced, count as one. */
typedef struct {
    uint32_t kept[2], kept_stride[2];       /* the output's axes, outermost first; unused: 1, 0 */
    uint32_t reduced[2], reduced_stride[2]; /* strides in elements of the input; unused: 1, 0 */
    int32_t offset;                         /* -zero_point(in) * reduced[0] * reduced[1] */
    nano_factor scale;                      /* scale(in) / scale(out) / (reduced[0] * reduced[1]) */
    nano_store store;
} nano_mean_params;
void nano_mean(const void *params, const nano_io *io);

/* The largest, the smallest element over any axes, clamped; axes as for the mean. */
typedef struct {
    uint32_t kept[2], kept_stride[2];       /* the output's axes, outermost first; unused: 1, 0 */
    uint32_t reduced[2], reduced_stride[2]; /* strides in elements of the input; unused: 1, 0 */
    int16_t min, max;                       /* clamp, -128..127 */
} nano_reduce_params;
void nano_reduce_max(const void *params, const nano_io *io);
void nano_reduce_min(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
