/* requant.h's arithmetic compiled for a core without widening multiply. */
#ifndef HALVES_H
#define HALVES_H

#include <stdint.h>

int32_t halves_high_product(int32_t a, int32_t b);
void halves_wide_product(uint32_t a, uint32_t b, uint32_t *high, uint32_t *low);

#endif
