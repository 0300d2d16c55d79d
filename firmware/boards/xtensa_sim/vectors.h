/* vectors.h - where the LX106's exceptions go, in bytes behind VECBASE. */
#ifndef XTENSA_SIM_VECTORS_H
#define XTENSA_SIM_VECTORS_H

#define VECTOR_KERNEL 0x30
#define VECTOR_USER 0x50
#define VECTOR_DOUBLE 0x70

#endif
