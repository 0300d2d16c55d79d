/* bytes.h - bytes copied and filled, without a C library (internal). */
#ifndef NANO_BYTES_H
#define NANO_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline void nano_copy_bytes(void *to, const void *from, size_t size) {
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
}

static inline void nano_fill_bytes(void *to, uint8_t value, size_t size) {
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)to)[i] = value;
}

#endif
