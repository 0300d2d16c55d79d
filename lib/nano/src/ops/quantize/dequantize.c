/* out[i] = (in[i] - zero_point) * scale; in: int8, out: float32. */
#include "nano/ops.h"

void nano_dequantize(const void *params, const nano_io *io) {
    const nano_quantize_params *const p = (const nano_quantize_params *)params;
    const int8_t *const in = (const int8_t *)io->in[0];
    float *const out = (float *)io->out;
    for (uint32_t i = 0; i < p->size; i++)
        out[i] = (float)(in[i] - p->zero_point) * p->scale;
}
