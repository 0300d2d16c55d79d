/* runtime.h - the compiler's helpers that Debian's libgcc for the LX106 lacks.
 *
 * gcc calls them by itself: integer division (the core has none), 64-bit products (the core
 * multiplies 32 by 32 bits to 32), and float32 sums, products and conversions. libgcc has the rest:
 * float32 division, comparisons and conversion to integers. */
#ifndef XTENSA_RUNTIME_H
#define XTENSA_RUNTIME_H

#include <stdint.h>

/* Quotient toward zero and remainder with the dividend's sign; 0 and the dividend for divisor 0. */
uint32_t __udivsi3(uint32_t dividend, uint32_t divisor);
uint32_t __umodsi3(uint32_t dividend, uint32_t divisor);
int32_t __divsi3(int32_t dividend, int32_t divisor);
int32_t __modsi3(int32_t dividend, int32_t divisor);

/* a * b modulo 2^64, and whole. */
uint64_t __muldi3(uint64_t a, uint64_t b);
uint64_t __umulsidi3(uint32_t a, uint32_t b);

/* IEEE 754 binary32, rounded to nearest, ties to even; subnormals, infinities and NaN included.
 * Every NaN that comes out is quiet. */
float __addsf3(float a, float b);
float __subsf3(float a, float b);
float __mulsf3(float a, float b);
float __floatsisf(int32_t value);
float __floatunsisf(uint32_t value);

#endif
