/* Functions of two int16, broadcast; each factor rounds.
 *
 *     add, sub   out = clamp(f_out * (f_a * a * 2^15 +- f_b * b * 2^15))
 *     mul        out = clamp(f * a * b)
 *     prelu      out = clamp(positive * a) for a >= 0, else clamp(negative * (a * b)) */
#include "nano/ops.h"

#include "../../broadcast_int16.h"
#include "../../requant_int16.h"

#define HEADROOM (1 << 15) /* the factors are at most 1/2: two stay below 2^30 */

static void add_row(const void *params, const nano_run_of_int16 *row) {
    const nano_add_int16_params *const p = (const nano_add_int16_params *)params;
    const int16_t *a = row->a, *b = row->b;
    for (uint32_t i = 0; i < row->n; i++, a += row->a_step, b += row->b_step) {
        const int32_t sum =
            nano_multiply(*a * HEADROOM, &p->a_factor) + nano_multiply(*b * HEADROOM, &p->b_factor);
        row->out[i] = nano_clamp_int16(nano_multiply(sum, &p->out_factor), p->min, p->max);
    }
}

static void sub_row(const void *params, const nano_run_of_int16 *row) {
    const nano_add_int16_params *const p = (const nano_add_int16_params *)params;
    const int16_t *a = row->a, *b = row->b;
    for (uint32_t i = 0; i < row->n; i++, a += row->a_step, b += row->b_step) {
        const int32_t difference =
            nano_multiply(*a * HEADROOM, &p->a_factor) - nano_multiply(*b * HEADROOM, &p->b_factor);
        row->out[i] = nano_clamp_int16(nano_multiply(difference, &p->out_factor), p->min, p->max);
    }
}

static void mul_row(const void *params, const nano_run_of_int16 *row) {
    const nano_mul_int16_params *const p = (const nano_mul_int16_params *)params;
    const int16_t *a = row->a, *b = row->b;
    for (uint32_t i = 0; i < row->n; i++, a += row->a_step, b += row->b_step)
        row->out[i] = nano_clamp_int16(nano_multiply(*a * *b, &p->factor), p->min, p->max);
}

static void prelu_row(const void *params, const nano_run_of_int16 *row) {
    const nano_prelu_int16_params *const p = (const nano_prelu_int16_params *)params;
    const int16_t *a = row->a, *b = row->b;
    for (uint32_t i = 0; i < row->n; i++, a += row->a_step, b += row->b_step) {
        const int32_t q =
            *a >= 0 ? nano_multiply(*a, &p->positive) : nano_multiply(*a * *b, &p->negative);
        row->out[i] = nano_clamp_int16(q, p->min, p->max);
    }
}

void nano_add_int16(const void *params, const nano_io *io) {
    const nano_add_int16_params *const p = (const nano_add_int16_params *)params;
    nano_broadcast_int16(&p->operands, io, add_row, params);
}

void nano_sub_int16(const void *params, const nano_io *io) {
    const nano_add_int16_params *const p = (const nano_add_int16_params *)params;
    nano_broadcast_int16(&p->operands, io, sub_row, params);
}

void nano_mul_int16(const void *params, const nano_io *io) {
    const nano_mul_int16_params *const p = (const nano_mul_int16_params *)params;
    nano_broadcast_int16(&p->operands, io, mul_row, params);
}

void nano_prelu_int16(const void *params, const nano_io *io) {
    const nano_prelu_int16_params *const p = (const nano_prelu_int16_params *)params;
    nano_broadcast_int16(&p->operands, io, prelu_row, params);
}
