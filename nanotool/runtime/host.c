/* host.c - dense layers and convolutions on vectors of eight outputs.
 *
 * acc[o] = bias[o] + sum_k patch[k] * w[o][k]. A pixel's patch, its inputs in the order of the
 * weights, is gathered as int16 first; then two terms of eight outputs are one step. */
#include "host.h"

#include "nano/requant.h"
#include "window.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define LANES 8

/* acc[0..7] = sum over `pairs` pairs of terms; w: [pairs][8][2]. */
#if defined(__SSE2__)
static inline void dot(const int16_t *patch, const int16_t *w, uint32_t pairs, int32_t acc[LANES]) {
    __m128i low = _mm_setzero_si128(), high = _mm_setzero_si128();
#pragma GCC unroll 4
    for (uint32_t k = 0; k < pairs; k++) {
        int32_t pair;
        __builtin_memcpy(&pair, patch + 2 * k, sizeof pair);
        const __m128i x = _mm_set1_epi32(pair);
        const __m128i *const row = (const __m128i *)(const void *)(w + 16 * k);
        low = _mm_add_epi32(low, _mm_madd_epi16(x, _mm_loadu_si128(row)));
        high = _mm_add_epi32(high, _mm_madd_epi16(x, _mm_loadu_si128(row + 1)));
    }
    _mm_storeu_si128((__m128i *)(void *)acc, low);
    _mm_storeu_si128((__m128i *)(void *)(acc + 4), high);
}
#else
static inline void dot(const int16_t *patch, const int16_t *w, uint32_t pairs, int32_t acc[LANES]) {
    for (uint32_t i = 0; i < LANES; i++)
        acc[i] = 0;
    for (uint32_t k = 0; k < pairs; k++, patch += 2, w += 2 * LANES) {
        for (uint32_t i = 0; i < LANES; i++)
            acc[i] += patch[0] * w[2 * i] + patch[1] * w[2 * i + 1];
    }
}
#endif

static inline void widen(const int8_t *in, int16_t *out, uint32_t n) {
    for (; n >= 8; n -= 8, in += 8, out += 8)
        for (uint32_t i = 0; i < 8; i++)
            out[i] = in[i];
    for (uint32_t i = 0; i < n; i++)
        out[i] = in[i];
}

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* The inputs of output pixel (y, x) in the order of the weights; outside the image, zero points. */
static inline void gather(const nano_conv2d_params *p, uint32_t y, uint32_t x, const int8_t *in,
                          int16_t *patch) {
    const nano_window *const window = &p->window;
    const nano_view v = nano_look(window, nano_clip_rows(window, y), y, x);
    const uint32_t n = window->in_c, row = window->kernel_w * n, terms = window->kernel_h * row;
    const uint32_t taps = v.columns.end - v.columns.begin;
    if (taps != window->kernel_w || v.rows.end - v.rows.begin != window->kernel_h)
        for (uint32_t k = 0; k < terms; k++)
            patch[k] = p->in_zero_point;
    for (uint32_t i = v.rows.begin; i < v.rows.end; i++) {
        const int8_t *const from = in + v.start + (i - v.rows.begin) * v.row_step;
        int16_t *const to = patch + i * row + v.columns.begin * n;
        if (v.step == n)
            widen(from, to, taps * n);
        else
            for (uint32_t j = 0; j < taps; j++)
                widen(from + j * v.step, to + j * n, n);
    }
    patch[terms] = 0; /* where the number of terms is odd, a zero completes the last pair */
}

/* All outputs of one patch. */
static void finish(const int16_t *patch, const int16_t *w, uint32_t terms, const int32_t *bias,
                   const nano_requant *requant, uint32_t outputs, int8_t *out) {
    const uint32_t pairs = (terms + 1) / 2;
    for (uint32_t o = 0; o < outputs; o += LANES, w += 2 * LANES * pairs) {
        int32_t acc[LANES];
        dot(patch, w, pairs, acc);
        for (uint32_t i = 0; i < least(LANES, outputs - o); i++)
            out[o + i] = nano_requantize(bias[o + i] + acc[i], requant, o + i);
    }
}

void nanotool_host_dense(const void *params, const nano_io *io) {
    const nanotool_host_dense_params *const p = (const nanotool_host_dense_params *)params;
    const nano_dense_params *const op = &p->op;
    int16_t patch[NANOTOOL_HOST_MAX_TERMS + 1];
    for (uint32_t r = 0; r < op->rows; r++) {
        widen((const int8_t *)io->in[0] + r * op->in_features, patch, op->in_features);
        patch[op->in_features] = 0;
        finish(patch, p->weights, op->in_features, op->bias, &op->requant, op->out_features,
               (int8_t *)io->out + r * op->out_features);
    }
}

static uint32_t terms_of(const nano_window *w) {
    return (uint32_t)w->kernel_h * w->kernel_w * w->in_c;
}

void nanotool_host_conv2d(const void *params, const nano_io *io) {
    const nanotool_host_conv2d_params *const p = (const nanotool_host_conv2d_params *)params;
    const nano_window *const window = &p->op.window;
    const uint32_t terms = terms_of(window);
    int16_t patch[NANOTOOL_HOST_MAX_TERMS + 1];
    int8_t *out = (int8_t *)io->out;
    for (uint32_t y = 0; y < window->out_h; y++) {
        for (uint32_t x = 0; x < window->out_w; x++, out += window->out_c) {
            gather(&p->op, y, x, (const int8_t *)io->in[0], patch);
            finish(patch, p->weights, terms, p->op.bias, &p->op.requant, window->out_c, out);
        }
    }
}

/* Raise best[] to the sums of one patch, or begin with them. */
static void raise(const int16_t *patch, const int16_t *w, uint32_t terms, uint32_t outputs,
                  int begin, int32_t *best) {
    const uint32_t pairs = (terms + 1) / 2;
    for (uint32_t o = 0; o < outputs; o += LANES, w += 2 * LANES * pairs) {
        int32_t acc[LANES];
        dot(patch, w, pairs, acc);
        for (uint32_t i = 0; i < least(LANES, outputs - o); i++)
            best[o + i] = begin || acc[i] > best[o + i] ? acc[i] : best[o + i];
    }
}

void nanotool_host_conv2d_max_pool(const void *params, const nano_io *io) {
    const nanotool_host_conv2d_max_pool_params *const p =
        (const nanotool_host_conv2d_max_pool_params *)params;
    const nano_window *const pool = &p->op.pool;
    const nano_conv2d_params *const conv = &p->op.conv;
    int16_t patch[NANOTOOL_HOST_MAX_TERMS + 1];
    int32_t *const best = (int32_t *)io->scratch;
    int8_t *out = (int8_t *)io->out;
    for (uint32_t at = 0; at < (uint32_t)pool->out_h * pool->out_w; at++) {
        const uint32_t y = at / pool->out_w, x = at % pool->out_w;
        const nano_taps rows = nano_clip_rows(pool, y), columns = nano_clip_columns(pool, x);
        for (uint32_t i = rows.begin; i < rows.end; i++) {
            for (uint32_t j = columns.begin; j < columns.end; j++) {
                gather(conv, y * pool->stride_h - pool->pad_top + i,
                       x * pool->stride_w - pool->pad_left + j, (const int8_t *)io->in[0], patch);
                raise(patch, p->weights, terms_of(&conv->window), pool->out_c,
                      i == rows.begin && j == columns.begin, best);
            }
        }
        for (uint32_t o = 0; o < pool->out_c; o++)
            *out++ = nano_requantize(conv->bias[o] + best[o], &conv->requant, o);
    }
}
