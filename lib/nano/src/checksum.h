/* checksum.h - checksums of what is stored (internal). */
#ifndef NANO_CHECKSUM_H
#define NANO_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32 (IEEE 802.3, as in zlib) of `size` bytes; `crc` is 0 or that of what came before. */
uint32_t nano_crc32(uint32_t crc, const void *bytes, size_t size);

#endif
