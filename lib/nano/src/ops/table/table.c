/* out[i] = table[in[i] + 128] */
#include "nano/ops.h"

void nano_table(const void *params, const nano_io *io) {
    const nano_table_params *const p = (const nano_table_params *)params;
    const int8_t *in = (const int8_t *)io->in[0];
    int8_t *out = (int8_t *)io->out;
    for (uint32_t i = 0; i < p->size; i++)
        out[i] = p->table[in[i] + 128];
}
