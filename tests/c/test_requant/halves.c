#define NANO_HALF_PRODUCTS 1
#include "nano/requant.h"

#include "halves.h"

int32_t halves_high_product(int32_t a, int32_t b) {
    return nano_high_product(a, b);
}

void halves_wide_product(uint32_t a, uint32_t b, uint32_t *high, uint32_t *low) {
    nano_wide_product(a, b, high, low);
}
