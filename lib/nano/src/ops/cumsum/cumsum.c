/* out[o, k, i] = store(scale(sum shifted left)), sum = start + in[o, j, i] - zero_point over j <=
 * k; j < k if exclusive, j >= k or j > k if reverse. In scratch: the sum of each i so far. A
 * reverse sum begins with all of its elements, and each is taken away, so that out is written in
 * memory order. */
#include "nano/ops.h"

#include "nano/requant.h"

/* The sums that a slab of count x inner elements begins with. */
static void begin(const nano_cumsum_params *p, const int8_t *in, int32_t *sums) {
    for (uint32_t i = 0; i < p->inner; i++)
        sums[i] = p->start;
    for (uint32_t k = 0; p->reverse && k < p->count; k++, in += p->inner)
        for (uint32_t i = 0; i < p->inner; i++)
            sums[i] += in[i] - p->in_zero_point;
}

/* The outputs of one k, before or after its elements go into the sums, or out of them. */
static void step(const nano_cumsum_params *p, const int8_t *in, int32_t *sums, int8_t *out) {
    const int after = p->exclusive == p->reverse;
    for (uint32_t i = 0; i < p->inner; i++) {
        const int32_t element = in[i] - p->in_zero_point;
        const int32_t next = p->reverse ? sums[i] - element : sums[i] + element;
        const int32_t sum = (after ? next : sums[i]) * ((int32_t)1 << p->left);
        sums[i] = next;
        out[i] = nano_store_result(nano_multiply(sum, &p->factor), &p->store);
    }
}

void nano_cumsum(const void *params, const nano_io *io) {
    const nano_cumsum_params *const p = (const nano_cumsum_params *)params;
    const int8_t *in = (const int8_t *)io->in[0];
    int32_t *const sums = (int32_t *)io->scratch;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t o = 0; o < p->outer; o++) {
        begin(p, in, sums);
        for (uint32_t k = 0; k < p->count; k++, in += p->inner, out += p->inner)
            step(p, in, sums, out);
    }
}
