/* vectors.h - where de212's exceptions go, in bytes behind VECBASE. */
#ifndef XTENSA_LX6_VECTORS_H
#define XTENSA_LX6_VECTORS_H

#define VECTOR_KERNEL 0x300
#define VECTOR_USER 0x340
#define VECTOR_DOUBLE 0x3C0

#endif
