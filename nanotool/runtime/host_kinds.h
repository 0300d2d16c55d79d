/* host_kinds.h - the kernels of host.h, once for each kind of processor (internal). */
#ifndef NANOTOOL_HOST_KINDS_H
#define NANOTOOL_HOST_KINDS_H

#include "nano/model.h"

/* Not gcc for Windows: it does not align vectors of 32 bytes on the stack (its bug 54412). */
#if defined(__x86_64__) && defined(__GNUC__) && !(defined(_WIN32) && !defined(__clang__))
#define NANOTOOL_HAS_AVX2 1
#else
#define NANOTOOL_HAS_AVX2 0
#endif

#define NANOTOOL_HOST_KERNELS(of)                                                                  \
    of(dense) of(conv2d) of(conv2d_add) of(conv2d_max_pool) of(depthwise_conv2d)

#define NANOTOOL_DECLARE(name)                                                                     \
    void nanotool_any_##name(const void *params, const nano_io *io);                               \
    void nanotool_avx2_##name(const void *params, const nano_io *io);
NANOTOOL_HOST_KERNELS(NANOTOOL_DECLARE)
#undef NANOTOOL_DECLARE

#endif
