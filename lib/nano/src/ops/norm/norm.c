/* out[r,p,c] = requantize(bias[c] + w[c] * t[r,p,c]), t = 2^12 * d / sqrt(s) for
 * d = n * x - sum(x), s = n * sum(x^2) - sum(x)^2 + n^2 * epsilon / scale(in)^2
 * over the n elements x of row r and the group of c; not centered: x less the zero point, sum 0.
 *
 * The root of s has 30 bits, its reciprocal 31. In scratch: sum, 1 / sqrt(s) of every group. */
#include "nano/ops.h"

#include "nano/requant.h"
#include "../../signal/wide.h"
#include "../softmax/exponentials.h"

typedef struct {
    int32_t sum;
    nano_factor inverse; /* 2^12 / sqrt(s) */
} group;

/* 2^12 / sqrt(s); of 0 as of 1. s < 2^60. */
static nano_factor inverse_root(uint64_t s) {
    if (s == 0)
        s = 1;
    const uint32_t high = (uint32_t)(s >> 32);
    const int bits = high != 0 ? 32 + nano_bit_length(high) : nano_bit_length((uint32_t)s);
    const int pairs = (60 - bits) / 2;
    for (int i = 0; i < pairs; i++)
        s += s + s + s;
    uint32_t root = nano_root(s); /* 2^29..2^30 */
    if (root > 0x3FFFFFFFu)
        root = 0x3FFFFFFFu;
    const int32_t fraction = (int32_t)((root << 2) - 0x80000000u);
    const nano_factor factor = {nano_one_over_one_plus(fraction), (int8_t)(pairs - 17)};
    return factor;
}

/* The sum and 1 / sqrt(s) of one group, whose elements begin at `in`. */
static group measure(const nano_norm_params *p, const int8_t *in, uint32_t width) {
    const int32_t zero = p->centered ? 0 : p->in_zero_point;
    int32_t sum = 0;
    uint32_t low = 0, high = 0; /* of the sum of squares: 2^16 * 2^16 may not fit 32 bits */
    for (uint32_t i = 0; i < p->positions; i++, in += p->channels)
        for (uint32_t j = 0; j < width; j++) {
            const int32_t x = in[j] - zero;
            sum += x;
            low += (uint32_t)(x * x);
            high += low >> 16;
            low &= 0xFFFFu;
        }
    const uint32_t n = p->positions * width;
    const uint64_t squares = nano_product(n, high) * 65536u + nano_product(n, low);
    const uint32_t size = (uint32_t)(sum < 0 ? -sum : sum);
    uint64_t s = squares + ((uint64_t)p->epsilon_high << 32 | p->epsilon_low);
    if (p->centered)
        s -= nano_product(size, size);
    const group found = {p->centered ? sum : 0, inverse_root(s)};
    return found;
}

/* All outputs of one row. */
static void normalize(const nano_norm_params *p, const int8_t *in, const group *groups,
                      int8_t *out) {
    const uint32_t width = p->channels / p->groups;
    const int32_t n = (int32_t)(p->positions * width), zero = p->centered ? 0 : p->in_zero_point;
    for (uint32_t i = 0; i < p->positions; i++)
        for (uint32_t c = 0; c < p->channels; c++) {
            const group *const of = groups + c / width;
            const int32_t d = n * (*in++ - zero) - of->sum;
            const int32_t acc = p->bias[c] + p->weights[c] * nano_multiply(d, &of->inverse);
            *out++ = nano_requantize(acc, &p->requant, c);
        }
}

void nano_norm(const void *params, const nano_io *io) {
    const nano_norm_params *const p = (const nano_norm_params *)params;
    group *const groups = (group *)io->scratch;
    const uint32_t width = p->channels / p->groups, size = p->positions * p->channels;
    const int8_t *in = (const int8_t *)io->in[0];
    int8_t *out = (int8_t *)io->out;
    for (uint32_t r = 0; r < p->rows; r++, in += size, out += size) {
        for (uint32_t g = 0; g < p->groups; g++)
            groups[g] = measure(p, in + g * width, width);
        normalize(p, in, groups, out);
    }
}
