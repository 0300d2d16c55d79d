/* product.h - a product of 64 bits without a call of the compiler's helpers (internal). */
#ifndef NANO_PRODUCT_H
#define NANO_PRODUCT_H

#include <stdint.h>

#include "nano/requant.h"

static inline uint64_t nano_product(uint32_t a, uint32_t b) {
    uint32_t high, low;
    nano_wide_product(a, b, &high, &low);
    return (uint64_t)high << 32 | low;
}

#endif
