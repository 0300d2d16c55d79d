/* integer.c - division and 64-bit products for a core that has neither. */
#include "runtime.h"

/* Long division in base 2, begun where the dividend's highest bit is. */
static uint32_t divide(uint32_t dividend, uint32_t divisor, uint32_t *remainder) {
    uint32_t quotient = 0;
    if (divisor != 0 && dividend >= divisor) {
        int shift = __builtin_clz(divisor) - __builtin_clz(dividend);
        for (divisor <<= shift; shift >= 0; shift--, divisor >>= 1) {
            quotient <<= 1;
            if (dividend >= divisor) {
                dividend -= divisor;
                quotient |= 1u;
            }
        }
    }
    *remainder = dividend;
    return quotient;
}

static uint32_t magnitude(int32_t value) {
    return value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
}

uint32_t __udivsi3(uint32_t dividend, uint32_t divisor) {
    uint32_t remainder;
    return divide(dividend, divisor, &remainder);
}

uint32_t __umodsi3(uint32_t dividend, uint32_t divisor) {
    uint32_t remainder;
    (void)divide(dividend, divisor, &remainder);
    return remainder;
}

int32_t __divsi3(int32_t dividend, int32_t divisor) {
    const uint32_t quotient = __udivsi3(magnitude(dividend), magnitude(divisor));
    return (int32_t)((dividend ^ divisor) < 0 ? 0u - quotient : quotient);
}

int32_t __modsi3(int32_t dividend, int32_t divisor) {
    const uint32_t remainder = __umodsi3(magnitude(dividend), magnitude(divisor));
    return (int32_t)(dividend < 0 ? 0u - remainder : remainder);
}

/* School multiplication in base 2^16. */
uint64_t __umulsidi3(uint32_t a, uint32_t b) {
    const uint32_t al = a & 0xFFFFu, ah = a >> 16, bl = b & 0xFFFFu, bh = b >> 16;
    const uint32_t low = al * bl;
    const uint32_t middle = ah * bl + (low >> 16); /* <= (2^16-1)^2 + 2^16-1 < 2^32 */
    const uint32_t cross = al * bh + (middle & 0xFFFFu);
    const uint32_t high = ah * bh + (middle >> 16) + (cross >> 16);
    return (uint64_t)high << 32 | ((cross << 16) | (low & 0xFFFFu));
}

uint64_t __muldi3(uint64_t a, uint64_t b) {
    const uint32_t al = (uint32_t)a, ah = (uint32_t)(a >> 32);
    const uint32_t bl = (uint32_t)b, bh = (uint32_t)(b >> 32);
    return __umulsidi3(al, bl) + ((uint64_t)(al * bh + ah * bl) << 32);
}
