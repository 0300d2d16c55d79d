/* host_avx2.c - the kernels of host.h for processors with AVX2. */
#include "host_kinds.h"

#if NANOTOOL_HAS_AVX2
#define NANOTOOL_AVX2
#define KERNEL(name) nanotool_avx2_##name
#include "host_kernels.h"
#endif
