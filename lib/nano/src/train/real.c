/* real.c - float32 functions: see real.h. Numbers in comments are log 2 and so on. */
#include "real.h"

#include "fixed.h"

/* x = n log 2 + r, |r| <= log 2 / 2; exp(r) by Taylor to r^7. */
float nano_train_expf(float x) {
    if (!(x > -87.0f))
        return 0.0f;
    const int32_t n = (int32_t)(x * 1.44269504f - 0.5f); /* to nearest, for x <= 0 */
    const float whole = (float)n;
    const float r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f; /* log 2 in two parts */
    float sum = 1.0f / 5040;
    sum = sum * r + 1.0f / 720;
    sum = sum * r + 1.0f / 120;
    sum = sum * r + 1.0f / 24;
    sum = sum * r + 1.0f / 6;
    sum = sum * r + 0.5f;
    const float result = (sum * r) * r + r + 1.0f; /* the small parts first */
    return result * nano_train_float_of((uint32_t)(n + 127) << 23);
}

/* x = 2^e m, m of [sqrt(1/2), sqrt(2)); log m = 2 artanh s, s = (m - 1) / (m + 1). */
float nano_train_logf(float x) {
    const uint32_t bits = nano_train_float_bits(x);
    const uint32_t from_root = bits - 0x3F3504F3u; /* sqrt(1/2) */
    const int32_t e = (int32_t)from_root >> 23;
    const float m = nano_train_float_of((from_root & 0x007FFFFFu) + 0x3F3504F3u);
    const float f = m - 1.0f;
    const float s = f / (m + 1.0f), z = s * s;
    float sum = 2.0f / 9;
    sum = sum * z + 2.0f / 7;
    sum = sum * z + 2.0f / 5;
    sum = sum * z + 2.0f / 3;
    /* log(1 + f) = f - s (f - z sum): f is exact */
    const float small = (float)e * -2.12194440e-4f - s * (f - z * sum);
    return (float)e * 0.693359375f + (f + small);
}

#if defined(__ARM_FP) && (__ARM_FP & 4)
float nano_train_sqrtf(float x) {
    float root;
    __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(x));
    return root;
}
#else
/* Newton's steps from half the exponent; a tiny x is scaled, its bits tell too little. */
float nano_train_sqrtf(float x) {
    if (!(x > 0.0f))
        return 0.0f;
    const int tiny = x < 1e-30f;
    const float y = tiny ? x * 281474976710656.0f : x; /* 2^48 */
    float root = nano_train_float_of(0x1FBD1DF5u + (nano_train_float_bits(y) >> 1));
    for (int i = 0; i < 3; i++)
        root = 0.5f * (root + y / root);
    return tiny ? root * 5.9604644775390625e-8f : root; /* 2^-24 */
}
#endif

float nano_train_powf(float base, unsigned long exponent) {
    float result = 1.0f;
    for (; exponent != 0; exponent >>= 1) {
        if (exponent & 1u)
            result *= base;
        base *= base;
    }
    return result;
}
