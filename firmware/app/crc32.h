/* crc32.h - the CRC-32 of zlib and Ethernet: reflected polynomial 0xEDB88320, start and final XOR
 * 0xFFFFFFFF. */
#ifndef APP_CRC32_H
#define APP_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of a message of which `crc` covers the first part (0: nothing yet) and `bytes` is the
 * rest. `bytes` may be NULL if `size` is 0. */
uint32_t crc32_update(uint32_t crc, const void *bytes, size_t size);

#endif
