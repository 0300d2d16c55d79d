/* dense_int16.c's equation, two outputs at a time (../conv2d/tile_int16_dsp.c). */
#include "nano/ops.h"

#include "../conv2d/tile_int16_dsp.h"

#if NANO_SIMD

void nano_dense_int16_dsp(const void *params, const nano_io *io) {
    const nano_dense_int16_dsp_params *const p = (const nano_dense_int16_dsp_params *)params;
    const int16_t *in = (const int16_t *)io->in[0];
    int16_t *out = (int16_t *)io->out;
    uint32_t *const copy = (uint32_t *)io->scratch;
    const uint32_t n = p->in_features, whole = n / 2;
    for (uint32_t r = 0; r < p->rows; r++, in += n, out += p->out_features) {
        for (uint32_t i = 0; i < whole; i++)
            copy[i] = nano_load_unaligned(in + 2 * i);
        if (n % 2 != 0)
            copy[whole] = (uint16_t)in[n - 1];
        nano_line_int16_dsp(&p->outputs, copy, p->outputs.weights, p->out_features, out);
    }
}

#endif
