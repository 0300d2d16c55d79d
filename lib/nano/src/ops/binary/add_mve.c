/* add.c's function as a sum of two products, four elements at a time. */
#include "nano/ops.h"

#include "../../broadcast.h"
#include "../../mve.h"

#if NANO_MVE

static inline nano_words sum_of(const nano_add_mve_params *p, nano_words a, nano_words b,
                                int split) {
    const nano_words first = nano_add4_all(nano_mul4_all(a, p->a_scale), p->offset);
    nano_words sum = nano_mla4_all(first, b, p->b_scale);
    if (split)
        sum = nano_mla4_all(sum, nano_sign4(nano_add4_all(sum, -p->zero)), p->below);
    return nano_saturate4(nano_shift4_all(sum, -p->right));
}

static inline void add_all(const nano_add_mve_params *p, const nano_run_of_pairs *row, int split) {
    const int8_t *a = row->a, *b = row->b;
    int8_t *out = row->out;
    for (uint32_t fours = row->n / 4; fours > 0; fours--, a += 4, b += 4, out += 4)
        nano_store4(out, sum_of(p, nano_load4(a), nano_load4(b), split));
    const uint32_t rest = row->n % 4;
    if (rest > 0)
        nano_store4_few(out, sum_of(p, nano_load4_few(a, rest), nano_load4_few(b, rest), split),
                        rest);
}

static void add_row(const void *params, const nano_run_of_pairs *row) {
    const nano_add_mve_params copy = *(const nano_add_mve_params *)params; /* no store changes it */
    if (copy.below != 0)
        add_all(&copy, row, 1);
    else
        add_all(&copy, row, 0);
    if (copy.min > -128 || copy.max < 127)
        nano_clamp_mve(row->out, row->n, copy.min, copy.max);
}

void nano_add_mve(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_add_mve_params *)params)->operands, io, add_row, params);
}

#endif
