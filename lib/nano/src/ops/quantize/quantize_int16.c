/* quantize: out[i] = clamp(round(in[i] / scale) + zero_point, -32768, 32767), in: float32, out:
 * int16; dequantize: out[i] = (in[i] - zero_point) * scale, in: int16, out: float32. */
#include "nano/ops.h"

#include "../../requant_int16.h"

/* x rounded, halves away from zero, within -131072..131072: beyond that every result is clamped. */
static int32_t nearest(float x) {
    if (x >= 131072.0f)
        return 131072;
    if (x <= -131072.0f)
        return -131072;
    if (x != x) /* NaN */
        return 0;
    const int32_t whole = (int32_t)x;
    const float rest = x - (float)whole; /* exact */
    return whole + (rest >= 0.5f ? 1 : 0) - (rest <= -0.5f ? 1 : 0);
}

void nano_quantize_int16(const void *params, const nano_io *io) {
    const nano_quantize_params *const p = (const nano_quantize_params *)params;
    const float *const in = (const float *)io->in[0];
    int16_t *const out = (int16_t *)io->out;
    for (uint32_t i = 0; i < p->size; i++)
        out[i] = nano_clamp_int16(nearest(in[i] / p->scale) + p->zero_point, INT16_MIN, INT16_MAX);
}

void nano_dequantize_int16(const void *params, const nano_io *io) {
    const nano_quantize_params *const p = (const nano_quantize_params *)params;
    const int16_t *const in = (const int16_t *)io->in[0];
    float *const out = (float *)io->out;
    for (uint32_t i = 0; i < p->size; i++)
        out[i] = (float)(in[i] - p->zero_point) * p->scale;
}
