/* out[i] = in[i] with the top bit flipped: uint8 to int8, or back. */
#include "nano/ops.h"

void nano_flip(const void *params, const nano_io *io) {
    const nano_flip_params *const p = (const nano_flip_params *)params;
    const uint8_t *const in = (const uint8_t *)io->in[0];
    uint8_t *const out = (uint8_t *)io->out;
    for (uint32_t i = 0; i < p->size; i++)
        out[i] = (uint8_t)(in[i] ^ 0x80u);
}
