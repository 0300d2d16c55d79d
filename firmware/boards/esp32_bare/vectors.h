/* vectors.h - where the LX6's exceptions go, in bytes behind VECBASE. */
#ifndef ESP32_BARE_VECTORS_H
#define ESP32_BARE_VECTORS_H

#define VECTOR_KERNEL 0x300
#define VECTOR_USER 0x340
#define VECTOR_DOUBLE 0x3C0

#endif
