/* add.c's function as a sum of two products, four elements at a time. */
#include "nano/ops.h"

#include "../../broadcast.h"
#include "../../mve.h"

#if NANO_MVE

static void add_row(const void *params, const nano_run_of_pairs *row) {
    const nano_add_mve_params *const p = (const nano_add_mve_params *)params;
    const int32_t a_scale = p->a_scale, b_scale = p->b_scale, offset = p->offset;
    const int32_t shift = -p->right;
    const int8_t *a = row->a, *b = row->b;
    int8_t *out = row->out;
    uint32_t n = row->n;
    for (uint32_t fours = n / 4; fours > 0; fours--, a += 4, b += 4, out += 4) {
        const nano_words first = nano_add4_all(nano_mul4_all(nano_load4(a), a_scale), offset);
        const nano_words sum = nano_add4(first, nano_mul4_all(nano_load4(b), b_scale));
        nano_store4(out, nano_saturate4(nano_shift4_all(sum, shift)));
    }
    n %= 4;
    if (n > 0) {
        const nano_words first =
            nano_add4_all(nano_mul4_all(nano_load4_few(a, n), a_scale), offset);
        const nano_words sum = nano_add4(first, nano_mul4_all(nano_load4_few(b, n), b_scale));
        nano_store4_few(out, nano_saturate4(nano_shift4_all(sum, shift)), n);
    }
    if (p->min > -128 || p->max < 127)
        nano_clamp_mve(row->out, row->n, p->min, p->max);
}

void nano_add_mve(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_add_mve_params *)params)->operands, io, add_row, params);
}

#endif
