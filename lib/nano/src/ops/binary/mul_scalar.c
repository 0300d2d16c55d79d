/* mul.c's function with 32-bit products alone; requant_scalar.h has the rounding. What is not
 * negative is not below the clamp, and the other way round: one comparison each. */
#include "nano/ops.h"

#include "../../broadcast.h"
#include "../../requant_scalar.h"

#define ABOVE 15 /* bits of a word that a product, below 2^16, leaves */

/* floor(product * factor / 2^12) */
static inline int32_t scaled(int32_t product, int32_t factor) {
#if NANO_HALF_PRODUCTS
    const int32_t low = factor & 0xFFF, high = factor >> 12;
    return (int32_t)((uint32_t)(product * high) + (uint32_t)(product * low >> 12));
#else
    return (int32_t)((int64_t)(product * (1 << ABOVE)) * (factor * (1 << (20 - ABOVE))) >> 32);
#endif
}

static inline int32_t product_of(const nano_mul_scalar_params *p, int32_t a, int32_t b) {
    const int32_t product = (a - p->a_zero_point) * (b - p->b_zero_point);
    const int32_t sum = scaled(product, p->factor) + p->round;
    if (product < 0) {
        const int32_t q = (sum - p->below) >> p->shift;
        return q < p->min ? p->min : q;
    }
    const int32_t q = sum >> p->shift;
    return q > p->max ? p->max : q;
}

static void mul_row(const void *params, const nano_run_of_pairs *row) {
    const nano_mul_scalar_params copy = *(const nano_mul_scalar_params *)params;
    const nano_mul_scalar_params *const p = &copy; /* no store can change it */
    const uint32_t a_step = row->a_step, b_step = row->b_step;
    const int8_t *a = row->a, *b = row->b;
    int8_t *out = row->out, *const end = out + row->n;
    if (a_step == 1 && b_step == 1) {
        for (; end - out >= 4; a += 4, b += 4, out += 4) {
            out[0] = (int8_t)product_of(p, a[0], b[0]);
            out[1] = (int8_t)product_of(p, a[1], b[1]);
            out[2] = (int8_t)product_of(p, a[2], b[2]);
            out[3] = (int8_t)product_of(p, a[3], b[3]);
        }
    }
    for (; out != end; a += a_step, b += b_step)
        *out++ = (int8_t)product_of(p, *a, *b);
}

void nano_mul_scalar(const void *params, const nano_io *io) {
    nano_broadcast(&((const nano_mul_scalar_params *)params)->operands, io, mul_row, params);
}
