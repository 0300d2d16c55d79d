/* out[p,q,m,n] = store(factor * sum_k (a[p,q,m,k] - z_a) * (b[p,q,k,n] - z_b)); strides say where
 * the axes of a and b lie. */
#include "nano/ops.h"

#include "nano/requant.h"

/* One element. */
static int32_t product(const nano_matmul_params *p, const int8_t *a, const int8_t *b) {
    int32_t sum = 0;
    for (uint32_t k = 0; k < p->depth; k++, a += p->a_step, b += p->b_step)
        sum += (*a - p->a_zero_point) * (*b - p->b_zero_point);
    return sum;
}

/* One matrix; where its output ends. */
static int8_t *matrix(const nano_matmul_params *p, const int8_t *a, const int8_t *b, int8_t *out) {
    for (uint32_t m = 0; m < p->rows; m++, a += p->a_row) {
        const int8_t *column = b;
        for (uint32_t n = 0; n < p->columns; n++, column += p->b_column)
            *out++ = nano_store_result(nano_multiply(product(p, a, column), &p->factor), &p->store);
    }
    return out;
}

void nano_matmul(const void *params, const nano_io *io) {
    const nano_matmul_params *const p = (const nano_matmul_params *)params;
    const void *const *next = io->in;
    const int8_t *a = p->a != NULL ? p->a : (const int8_t *)*next++;
    const int8_t *b = p->b != NULL ? p->b : (const int8_t *)*next;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t i = 0; i < p->batch[0]; i++)
        for (uint32_t j = 0; j < p->batch[1]; j++)
            out = matrix(p, a + i * p->a_batch[0] + j * p->a_batch[1],
                         b + i * p->b_batch[0] + j * p->b_batch[1], out);
}
