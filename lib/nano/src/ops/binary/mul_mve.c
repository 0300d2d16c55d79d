/* mul.c's function, four elements at a time; requant_mve.h has the rounding. */
#include "nano/ops.h"

#include "../../broadcast.h"
#include "../../mve.h"

#if NANO_MVE

static inline nano_words product(const nano_mul_mve_params *p, nano_words a, nano_words b) {
    const nano_words both =
        nano_mul4(nano_add4_all(a, -p->a_zero_point), nano_add4_all(b, -p->b_zero_point));
    const nano_words h = nano_high4_all(both, p->factor.multiplier);
    const nano_words q = nano_round4_all(nano_add4(h, nano_sign4(h)), p->factor.shift);
    return nano_saturate4(nano_add4_all(q, p->store.zero_point));
}

static void mul_row(const void *params, const nano_run_of_pairs *row) {
    const nano_mul_mve_params copy = *(const nano_mul_mve_params *)params; /* no store changes it */
    const int8_t *a = row->a, *b = row->b;
    int8_t *out = row->out;
    for (uint32_t fours = row->n / 4; fours > 0; fours--, a += 4, b += 4, out += 4)
        nano_store4(out, product(&copy, nano_load4(a), nano_load4(b)));
    const uint32_t rest = row->n % 4;
    if (rest > 0)
        nano_store4_few(out, product(&copy, nano_load4_few(a, rest), nano_load4_few(b, rest)),
                        rest);
    if (copy.store.min > -128 || copy.store.max < 127)
        nano_clamp_mve(row->out, row->n, copy.store.min, copy.store.max);
}

void nano_mul_mve(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_mul_mve_params *)params)->operands, io, mul_row, params);
}

#endif
