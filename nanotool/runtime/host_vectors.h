/* host_vectors.h - eight int32 side by side (internal): AVX2's where host_avx2.c asks for them,
 * else two of SSE2's, else plain C. */
#ifndef NANOTOOL_HOST_VECTORS_H
#define NANOTOOL_HOST_VECTORS_H

#include <stdint.h>
#include <string.h>

#include "nano/requant.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define LANES 8

#if defined(NANOTOOL_AVX2)
/* After the headers: their functions are for every processor, those below for one with AVX2. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif

typedef __m256i lanes;

static inline lanes zeros(void) {
    return _mm256_setzero_si256();
}

static inline lanes load(const int32_t *from) {
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

static inline void store(int32_t *to, lanes x) {
    _mm256_storeu_si256((__m256i *)(void *)to, x);
}

static inline lanes add(lanes a, lanes b) {
    return _mm256_add_epi32(a, b);
}

static inline lanes all(int32_t value) {
    return _mm256_set1_epi32(value);
}

static inline lanes widened(const int8_t *from) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)from));
}

static inline lanes highest(lanes a, lanes b) {
    return _mm256_max_epi32(a, b);
}

/* acc[i] + x[0] * w[i][0] + x[1] * w[i][1] */
static inline lanes add_pair(lanes acc, const int16_t *x, const int16_t *w) {
    int32_t pair;
    memcpy(&pair, x, sizeof pair);
    return add(acc,
               _mm256_madd_epi16(_mm256_set1_epi32(pair), load((const int32_t *)(const void *)w)));
}

/* acc[i] + a[i] * w[i][0] + b[i] * w[i][1] */
static inline lanes add_taps(lanes acc, const int8_t *a, const int8_t *b, const int16_t *w) {
    const __m128i first = _mm_loadl_epi64((const __m128i *)(const void *)a);
    const __m128i second = _mm_loadl_epi64((const __m128i *)(const void *)b);
    const __m256i x = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(first, second));
    return add(acc, _mm256_madd_epi16(x, load((const int32_t *)(const void *)w)));
}

/* nano_scale() of each lane. */
static inline lanes scale(lanes acc, lanes multiplier, lanes left, lanes right) {
    const lanes x = _mm256_sllv_epi32(acc, left);
    const lanes half = _mm256_set1_epi64x(0x40000000), one = _mm256_set1_epi32(1);
    const lanes even = _mm256_add_epi64(_mm256_mul_epi32(x, multiplier), half);
    const lanes odd = _mm256_add_epi64(
        _mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(multiplier, 32)), half);
    const lanes high = _mm256_blend_epi32(_mm256_srli_epi64(even, 31),
                                          _mm256_slli_epi64(_mm256_srli_epi64(odd, 31), 32), 0xAA);
    const lanes mask = _mm256_sub_epi32(_mm256_sllv_epi32(one, right), one);
    const lanes threshold = add(_mm256_srli_epi32(mask, 1), _mm256_srli_epi32(high, 31));
    const lanes up = _mm256_cmpgt_epi32(_mm256_and_si256(high, mask), threshold); /* -1: yes */
    return _mm256_sub_epi32(_mm256_srav_epi32(high, right), up);
}

/* to[i] = clamp(zero_point + x[i], min, max), within int8 */
static inline void narrow(lanes x, int32_t zero_point, int32_t min, int32_t max, int8_t *to) {
    const lanes moved = add(x, _mm256_set1_epi32(zero_point));
    const lanes within =
        _mm256_min_epi32(_mm256_max_epi32(moved, _mm256_set1_epi32(min)), _mm256_set1_epi32(max));
    const __m128i shorts =
        _mm_packs_epi32(_mm256_castsi256_si128(within), _mm256_extracti128_si256(within, 1));
    _mm_storel_epi64((__m128i *)(void *)to, _mm_packs_epi16(shorts, shorts));
}

#else

#if defined(__SSE2__)
typedef struct {
    __m128i low, high;
} lanes;

static inline lanes zeros(void) {
    return (lanes){_mm_setzero_si128(), _mm_setzero_si128()};
}

static inline void store(int32_t *to, lanes x) {
    _mm_storeu_si128((__m128i *)(void *)to, x.low);
    _mm_storeu_si128((__m128i *)(void *)(to + 4), x.high);
}

static inline lanes load(const int32_t *from) {
    return (lanes){_mm_loadu_si128((const __m128i *)(const void *)from),
                   _mm_loadu_si128((const __m128i *)(const void *)(from + 4))};
}

static inline lanes add(lanes a, lanes b) {
    return (lanes){_mm_add_epi32(a.low, b.low), _mm_add_epi32(a.high, b.high)};
}

static inline lanes add_pair(lanes acc, const int16_t *x, const int16_t *w) {
    int32_t pair;
    memcpy(&pair, x, sizeof pair);
    const __m128i both = _mm_set1_epi32(pair);
    const lanes row = load((const int32_t *)(const void *)w);
    return add(acc, (lanes){_mm_madd_epi16(both, row.low), _mm_madd_epi16(both, row.high)});
}

static inline lanes add_taps(lanes acc, const int8_t *a, const int8_t *b, const int16_t *w) {
    const __m128i x = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)(const void *)a),
                                        _mm_loadl_epi64((const __m128i *)(const void *)b));
    const lanes row = load((const int32_t *)(const void *)w);
    /* each byte behind itself, then shifted down: int8 as int16 */
    const __m128i low = _mm_srai_epi16(_mm_unpacklo_epi8(x, x), 8);
    const __m128i high = _mm_srai_epi16(_mm_unpackhi_epi8(x, x), 8);
    return add(acc, (lanes){_mm_madd_epi16(low, row.low), _mm_madd_epi16(high, row.high)});
}

#else
typedef struct {
    int32_t at[LANES];
} lanes;

static inline lanes zeros(void) {
    return (lanes){{0}};
}

static inline void store(int32_t *to, lanes x) {
    memcpy(to, x.at, sizeof x.at);
}

static inline lanes load(const int32_t *from) {
    lanes x;
    memcpy(x.at, from, sizeof x.at);
    return x;
}

static inline lanes add(lanes a, lanes b) {
    for (uint32_t i = 0; i < LANES; i++)
        a.at[i] += b.at[i];
    return a;
}

static inline lanes add_pair(lanes acc, const int16_t *x, const int16_t *w) {
    for (uint32_t i = 0; i < LANES; i++)
        acc.at[i] += x[0] * w[2 * i] + x[1] * w[2 * i + 1];
    return acc;
}

static inline lanes add_taps(lanes acc, const int8_t *a, const int8_t *b, const int16_t *w) {
    for (uint32_t i = 0; i < LANES; i++)
        acc.at[i] += a[i] * w[2 * i] + b[i] * w[2 * i + 1];
    return acc;
}
#endif

static inline lanes highest(lanes a, lanes b) {
    int32_t x[LANES], y[LANES];
    store(x, a);
    store(y, b);
    for (uint32_t i = 0; i < LANES; i++)
        x[i] = x[i] > y[i] ? x[i] : y[i];
    return load(x);
}

static inline lanes all(int32_t value) {
    int32_t x[LANES];
    for (uint32_t i = 0; i < LANES; i++)
        x[i] = value;
    return load(x);
}

static inline lanes widened(const int8_t *from) {
    int32_t x[LANES];
    for (uint32_t i = 0; i < LANES; i++)
        x[i] = from[i];
    return load(x);
}

static inline lanes scale(lanes acc, lanes multiplier, lanes left, lanes right) {
    int32_t x[LANES], m[LANES], up[LANES], down[LANES];
    store(x, acc);
    store(m, multiplier);
    store(up, left);
    store(down, right);
    for (uint32_t i = 0; i < LANES; i++)
        x[i] = nano_rounding_shift_right(
            nano_high_product((int32_t)((uint32_t)x[i] << up[i]), m[i]), down[i]);
    return load(x);
}

static inline void narrow(lanes x, int32_t zero_point, int32_t min, int32_t max, int8_t *to) {
    int32_t value[LANES];
    store(value, x);
    for (uint32_t i = 0; i < LANES; i++)
        to[i] = nano_clamp(nano_add_zero_point(value[i], zero_point), min, max);
}
#endif

#endif
