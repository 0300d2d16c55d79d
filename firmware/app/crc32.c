/* crc32.c - four bits at a time: 64 bytes of table instead of 1,024. */
#include "crc32.h"

/* The remainders of the sixteen nibbles. */
static const uint32_t remainder_of[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

uint32_t crc32_update(uint32_t crc, const void *bytes, size_t size) {
    const uint8_t *byte = (const uint8_t *)bytes;
    crc = ~crc;
    for (; size > 0; size--) {
        crc ^= *byte++;
        crc = (crc >> 4) ^ remainder_of[crc & 15u];
        crc = (crc >> 4) ^ remainder_of[crc & 15u];
    }
    return ~crc;
}
