/* int16.h - what the parts of the integer arithmetic share (internal): units of a head's numbers,
 * sums of 64 bits. */
#ifndef NANO_TRAIN_INT16_H
#define NANO_TRAIN_INT16_H

#include "work.h"

#define NANO_TRAIN_ERROR_BITS 12 /* of a hidden layer's errors, and of squares */

/* Fractional bits of a layer's errors: cross-entropy's lie within +-1. */
static inline int32_t nano_train_error_bits(const nano_train *head, uint32_t l) {
    const int last = l + 1 == head->config->layer_count;
    return last && head->config->loss == NANO_TRAIN_CROSS_ENTROPY ? 15 : NANO_TRAIN_ERROR_BITS;
}

/* What one step of a layer's input means. */
static inline nano_train_factor nano_train_input_unit(const nano_train *head, uint32_t l) {
    return l == 0 ? nano_train_factor_of_float(head->config->feature_scale)
                  : nano_train_factor_of(1, -(int32_t)head->config->layers[l - 1].activation_bits);
}

/* Bits that a product of error and input loses, so that a mini-batch of them fits. */
static inline uint32_t nano_train_gradient_shift(const nano_train *head, uint32_t l) {
    const uint32_t bits = (l == 0 ? 23 : 27) + nano_train_log2_ceiling(head->recipe.batch);
    return bits > 30 ? bits - 30 : 0;
}

/* Update the weights from the gradients, and clear these: int16_step.c. */
void nano_train_int16_step(nano_train *head);

/* --- Sums of 64 bits: high * 2^32 + low --------------------------------------------------------
 *
 * In two words, so that a core without wide products needs no helper of its compiler's. */

typedef struct {
    int32_t high;
    uint32_t low;
} nano_train_sum;

/* sum + a * b */
static inline nano_train_sum nano_train_add_product(nano_train_sum sum, int32_t a, int32_t b) {
#if NANO_HALF_PRODUCTS
    uint32_t high, low;
    nano_wide_product((uint32_t)a, (uint32_t)b, &high, &low);
    high -= (a < 0 ? (uint32_t)b : 0) + (b < 0 ? (uint32_t)a : 0); /* unsigned to signed */
    sum.low += low;
    sum.high = (int32_t)((uint32_t)sum.high + high + (sum.low < low));
#else
    const uint64_t total =
        ((uint64_t)(uint32_t)sum.high << 32 | sum.low) + (uint64_t)((int64_t)a * b);
    sum.high = (int32_t)(uint32_t)(total >> 32);
    sum.low = (uint32_t)total;
#endif
    return sum;
}

/* sum + word */
static inline nano_train_sum nano_train_add_word(nano_train_sum sum, int32_t word) {
    sum.low += (uint32_t)word;
    sum.high += (sum.low < (uint32_t)word) - (word < 0);
    return sum;
}

/* sum + a * b */
static inline nano_train_sum nano_train_add_halves(nano_train_sum sum, int16_t a, int16_t b) {
#if NANO_HALF_PRODUCTS
    return nano_train_add_word(sum, a * b);
#else
    return nano_train_add_product(sum, a, b); /* one instruction, where the product is one */
#endif
}

/* A random fraction of 2^bits, 0 <= bits < 64: `word` / 2^32 of it, cut off. */
static inline nano_train_sum nano_train_random_part(uint32_t word, uint32_t bits) {
    nano_train_sum part = {0, 0};
    if (bits > 32)
        part.high = (int32_t)(word >> (64 - bits));
    if (bits >= 32)
        part.low = word << (bits - 32);
    else if (bits > 0)
        part.low = word >> (32 - bits);
    return part;
}

/* floor(sum / 2^bits), 0 <= bits < 64, saturating at the ends of int32. */
static inline int32_t nano_train_shift_down(nano_train_sum sum, uint32_t bits) {
    if (bits >= 32)
        return sum.high >> (bits - 32);
    const int32_t beyond = sum.high >> bits; /* bits 32 and up: all must be the sign */
    const uint32_t low = sum.low >> bits | (bits == 0 ? 0 : (uint32_t)sum.high << (32 - bits));
    if (beyond != (int32_t)low >> 31)
        return beyond < 0 ? INT32_MIN : INT32_MAX;
    return (int32_t)low;
}

#endif
