/* root.c - the integer square root, by Karatsuba's square root (P. Zimmermann, 1999).
 *
 * Of x = a B^2 + b B + c, where a has the root s and the remainder r, the root is s B + q with
 * q = (r B + b) / 2 s, or one less: two divisions for 32 bits of the root. */
#include "wide.h"

/* The root of a >= 2^14 with 16 bits, digit by digit; *rest: what a exceeds its square by. */
static uint32_t root_of_16(uint32_t a, uint32_t *rest) {
    uint32_t root = 0;
    for (uint32_t bit = 1u << 7; bit != 0; bit >>= 1) {
        const uint32_t trial = root | bit;
        if (a >= trial * trial)
            root = trial;
    }
    *rest = a - root * root;
    return root;
}

/* The root of a >= 2^30, and the remainder. */
static uint32_t root_of_32(uint32_t a, uint32_t *rest) {
    uint32_t r;
    const uint32_t s = root_of_16(a >> 16, &r);
    const uint32_t n = (r << 7) + (a >> 9 & 127u), q = n / s; /* both halved */
    const uint32_t u = 2 * (n - q * s) + (a >> 8 & 1u);
    uint32_t root = (s << 8) + q;
    int32_t left = (int32_t)((u << 8) + (a & 255u)) - (int32_t)(q * q);
    if (left < 0)
        left += (int32_t)(2 * root--) - 1;
    *rest = (uint32_t)left;
    return root;
}

/* The root of a 2^32 + b, a >= 2^30. */
static uint32_t root_of_64(uint32_t a, uint32_t b) {
    uint32_t r;
    const uint32_t s = root_of_32(a, &r);
    const uint32_t n = (r << 15) + (b >> 17), q = n / s;
    const uint32_t u = 2 * (n - q * s) + (b >> 16 & 1u);
    const uint64_t left = (uint64_t)u << 16 | (b & 0xFFFFu);
    return (s << 16) + q - (left < nano_product(q, q));
}

uint32_t nano_root(uint64_t x) {
    const uint32_t high = (uint32_t)(x >> 32), low = (uint32_t)x;
    if (x == 0)
        return 0;
    /* By an even number of bits to the left, so that the top one or two are not 0. */
    const int zeros = high != 0 ? 32 - nano_bit_length(high) : 32 - nano_bit_length(low);
    const int left = zeros & ~1;
    const uint32_t top = high != 0 ? high : low, next = high != 0 ? low : 0;
    const uint32_t a = top << left | (left != 0 ? next >> (32 - left) : 0);
    uint32_t root = root_of_64(a, next << left) >> (left / 2);
    if (high == 0)
        root >>= 16;
    if (low - root * root > root)
        root++;
    return high == 0 && root > UINT16_MAX ? UINT16_MAX : root;
}
