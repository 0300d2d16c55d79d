/* out[i] = clamp(out_zero_point + factor * (in[i] - in_zero_point))
 * in: int8 or int16, out: int8, int16 or int32. */
#include "nano/ops.h"

#include "nano/requant.h"

static int32_t element(const nano_requantize_params *p, const void *in, uint32_t i) {
    return p->in_bytes == 1 ? ((const int8_t *)in)[i] : ((const int16_t *)in)[i];
}

void nano_requantize_wide(const void *params, const nano_io *io) {
    const nano_requantize_params *const p = (const nano_requantize_params *)params;
    for (uint32_t i = 0; i < p->size; i++) {
        const int32_t centered = element(p, io->in[0], i) - p->in_zero_point;
        const int32_t q =
            nano_add_zero_point(nano_multiply(centered, &p->factor), p->out_zero_point);
        const int32_t result = q < p->min ? p->min : q > p->max ? p->max : q;
        if (p->out_bytes == 1)
            ((int8_t *)io->out)[i] = (int8_t)result;
        else if (p->out_bytes == 2)
            ((int16_t *)io->out)[i] = (int16_t)result;
        else
            ((int32_t *)io->out)[i] = result;
    }
}
