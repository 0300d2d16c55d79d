/* nano/ops/border.h - between int8 and the types at a model's border. The only kernels with float
 * arithmetic. Order and overlap: ops.h. */
#ifndef NANO_OPS_BORDER_H
#define NANO_OPS_BORDER_H

#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* quantize: out = clamp(round(in / scale) + zero_point, -128, 127), halves away from zero; in:
 * float32; NaN gives zero_point. dequantize: out = (in - zero_point) * scale; out: float32. */
typedef struct {
    float scale;        /* of the int8 tensor, > 0 */
    int16_t zero_point; /* of the int8 tensor, -128..127 */
    uint32_t size;      /* elements */
} nano_quantize_params;
void nano_quantize(const void *params, const nano_io *io);
void nano_dequantize(const void *params, const nano_io *io);

/* The same between int16 and float32: clamped to -32768..32767. */
void nano_quantize_int16(const void *params, const nano_io *io);
void nano_dequantize_int16(const void *params, const nano_io *io);

/* uint8 to int8 or back: out = in with the top bit flipped, that is in - 128 or in + 128. Both
 * tensors have the same scale, and zero points 128 apart. (Others: nano_table.) */
typedef struct {
    uint32_t size; /* elements */
} nano_flip_params;
void nano_flip(const void *params, const nano_io *io);

/* out = clamp(out_zero_point + factor * (in - in_zero_point)) of int8, int16 and int32, where one
 * of them is wider than a byte. (Others: nano_table.) */
typedef struct {
    nano_factor factor; /* scale(in) / scale(out) */
    int32_t in_zero_point;
    int32_t out_zero_point;
    int32_t min, max;  /* clamp, at most the range of out's type */
    uint8_t in_bytes;  /* of an element: 1 or 2 */
    uint8_t out_bytes; /* 1, 2 or 4 */
    uint32_t size;     /* elements */
} nano_requantize_params;
void nano_requantize_wide(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
