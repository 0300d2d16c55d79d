/* out[i] = clamp(round(in[i] / scale) + zero_point, -128, 127); in: float32, out: int8. */
#include "nano/ops.h"

/* x rounded, halves away from zero, within -256..256: beyond that every result is clamped. */
static int32_t nearest(float x) {
    if (x >= 256.0f)
        return 256;
    if (x <= -256.0f)
        return -256;
    if (x != x) /* NaN */
        return 0;
    const int32_t whole = (int32_t)x;
    const float rest = x - (float)whole; /* exact */
    return whole + (rest >= 0.5f ? 1 : 0) - (rest <= -0.5f ? 1 : 0);
}

void nano_quantize(const void *params, const nano_io *io) {
    const nano_quantize_params *const p = (const nano_quantize_params *)params;
    const float *const in = (const float *)io->in[0];
    int8_t *const out = (int8_t *)io->out;
    for (uint32_t i = 0; i < p->size; i++) {
        const int32_t q = nearest(in[i] / p->scale) + p->zero_point;
        out[i] = (int8_t)(q < -128 ? -128 : q > 127 ? 127 : q);
    }
}
