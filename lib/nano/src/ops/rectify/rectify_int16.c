/* out[i] = clamp(positive * in[i]) for in[i] >= 0, else clamp(sign * (negative * in[i])), or with a
 * sign of 0 clamp(negative * -in[i]): not the same where halves are rounded; int16. */
#include "nano/ops.h"

#include "../../requant_int16.h"

void nano_rectify_int16(const void *params, const nano_io *io) {
    const nano_rectify_int16_params *const p = (const nano_rectify_int16_params *)params;
    const int16_t *const in = (const int16_t *)io->in[0];
    int16_t *const out = (int16_t *)io->out;
    for (uint32_t i = 0; i < p->size; i++) {
        const int32_t x = in[i] < 0 && p->sign == 0 ? -in[i] : in[i];
        const int32_t q = nano_multiply(x, in[i] >= 0 ? &p->positive : &p->negative);
        const int32_t turned = in[i] < 0 && p->sign < 0 ? (int32_t)(0u - (uint32_t)q) : q;
        out[i] = nano_clamp_int16(turned, p->min, p->max);
    }
}
