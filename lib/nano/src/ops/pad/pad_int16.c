/* pad.c's function on int16. */
#include "nano/ops.h"

/* Write `n` times `value`; returns where that ends. */
static int16_t *fill(int16_t *out, int16_t value, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        *out++ = value;
    return out;
}

static int16_t *copy(int16_t *out, const int16_t *in, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        *out++ = in[i];
    return out;
}

void nano_pad_int16(const void *params, const nano_io *io) {
    const nano_pad_int16_params *const p = (const nano_pad_int16_params *)params;
    const uint32_t *const n = p->shape, *const before = p->before, *const after = p->after;
    const uint32_t size3 = before[3] + n[3] + after[3];           /* of the output's last axis, */
    const uint32_t size2 = (before[2] + n[2] + after[2]) * size3; /* of its last two, */
    const uint32_t size1 = (before[1] + n[1] + after[1]) * size2; /* of its last three */
    const int16_t *in = (const int16_t *)io->in[0];
    int16_t *out = fill((int16_t *)io->out, p->value, before[0] * size1);
    for (uint32_t i0 = 0; i0 < n[0]; i0++) {
        out = fill(out, p->value, before[1] * size2);
        for (uint32_t i1 = 0; i1 < n[1]; i1++) {
            out = fill(out, p->value, before[2] * size3);
            for (uint32_t i2 = 0; i2 < n[2]; i2++, in += n[3]) {
                out = fill(out, p->value, before[3]);
                out = copy(out, in, n[3]);
                out = fill(out, p->value, after[3]);
            }
            out = fill(out, p->value, after[2] * size3);
        }
        out = fill(out, p->value, after[1] * size2);
    }
    fill(out, p->value, after[0] * size1);
}
