/* out[r, i] = store(scale(in[r, i + 1] - in[r, i])) */
#include "lab_edge.h"

#include "nano/requant.h"

void lab_edge(const void *params, const nano_io *io) {
    const lab_edge_params *const p = (const lab_edge_params *)params;
    const int8_t *in = (const int8_t *)io->in[0];
    int8_t *out = (int8_t *)io->out;
    for (uint32_t r = 0; r < p->rows; r++, in++)
        for (uint32_t i = 0; i < p->width; i++, in++)
            *out++ = nano_store_result(nano_multiply(in[1] - in[0], &p->factor), &p->store);
}
