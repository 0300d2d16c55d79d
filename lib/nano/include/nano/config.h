/* nano/config.h - version, ABI and the few constants that everything agrees on. */
#ifndef NANO_CONFIG_H
#define NANO_CONFIG_H

#define NANO_VERSION_MAJOR 0
#define NANO_VERSION_MINOR 1
#define NANO_VERSION_PATCH 0
#define NANO_VERSION_STRING "0.1.0"

/* Counts up whenever a struct that generated sources fill, or the meaning of one of its fields,
 * changes. Generated sources refuse to compile with another number, and nano_init() refuses a model
 * that was compiled with one: export the model again with the nanotool that the library came with.
 *
 *     1   one input, one output
 *     2   any number of inputs and outputs, states; tensors have names */
#define NANO_ABI 2

/* Alignment in bytes of an arena's base and of every model's room in it. Tensors inside a model
 * start at multiples of NANO_TENSOR_ALIGN. Both are powers of two. */
#define NANO_ALIGN 16
#define NANO_TENSOR_ALIGN 4

/* Most inputs an op reads. */
#define NANO_MAX_INPUTS 2

/* Put first in the declaration of a buffer that will be an arena, the one place that every form
 * allows: `NANO_ALIGNED static uint8_t bytes[SIZE];` */
#if defined(__GNUC__)
#define NANO_ALIGNED __attribute__((aligned(NANO_ALIGN)))
#elif defined(__cplusplus)
#define NANO_ALIGNED alignas(NANO_ALIGN)
#else
#define NANO_ALIGNED _Alignas(NANO_ALIGN)
#endif

/* Put before a const array of bytes that kernels may read word by word. */
#if defined(__GNUC__)
#define NANO_WORD_ALIGNED __attribute__((aligned(4)))
#elif defined(__cplusplus)
#define NANO_WORD_ALIGNED alignas(4)
#else
#define NANO_WORD_ALIGNED _Alignas(4)
#endif

/* 1: the core has Xtensa's MAC16 and its loops, as the LX6 of an ESP32 and the LX7 of an ESP32-S3
 * have, and models may use them. A vendor's toolchain tells; for a compiler of another core say so.
 */
#ifndef NANO_MAC16
#if defined(__XTENSA__) && defined(__has_include)
#if __has_include(<xtensa/config/core-isa.h>)
#include <xtensa/config/core-isa.h>
#define NANO_MAC16 (XCHAL_HAVE_MAC16 && XCHAL_HAVE_LOOPS)
#endif
#endif
#endif
#ifndef NANO_MAC16
#define NANO_MAC16 0
#endif

/* 1: the core is an ESP32-S3's, with its Processor Instruction Extensions, and models may use them.
 * ESP-IDF's headers name their coprocessor. */
#ifndef NANO_PIE
#if NANO_MAC16 && defined(__has_include)
#if __has_include(<xtensa/config/tie.h>)
#include <xtensa/config/tie.h>
#endif
#endif
#if defined(XCHAL_CP_ID_COP_AI)
#define NANO_PIE 1
#else
#define NANO_PIE 0
#endif
#endif

/* An arena offset that means "there is no such tensor". */
#define NANO_NONE UINT32_MAX

/* Fails the build, in C99 as in C11, when `condition` is false; `name` is part of the message. */
#define NANO_STATIC_ASSERT(condition, name)                                                        \
    typedef char nano_static_assert_##name[(condition) ? 1 : -1]

#endif
