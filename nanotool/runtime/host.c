/* host.c - the kernels of host.h for any processor, and the choice between these and AVX2's. */
#include "host_kinds.h"

#define KERNEL(name) nanotool_any_##name
#include "host_kernels.h"

static int wanted = 1;

static int has_avx2(void) {
#if NANOTOOL_HAS_AVX2
    return __builtin_cpu_supports("avx2") != 0;
#else
    return 0;
#endif
}

int nanotool_host_widest(int on) {
    wanted = on;
    return has_avx2();
}

#if NANOTOOL_HAS_AVX2
#define CHOOSE(name)                                                                               \
    void nanotool_host_##name(const void *params, const nano_io *io) {                             \
        (wanted && has_avx2() ? nanotool_avx2_##name : nanotool_any_##name)(params, io);           \
    }
#else
#define CHOOSE(name)                                                                               \
    void nanotool_host_##name(const void *params, const nano_io *io) {                             \
        nanotool_any_##name(params, io);                                                           \
    }
#endif
NANOTOOL_HOST_KERNELS(CHOOSE)
