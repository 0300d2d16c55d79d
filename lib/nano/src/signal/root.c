/* root.c - the integer square root, two bits of the number for one of the root. */
#include "wide.h"

uint32_t nano_root(uint64_t x) {
    const uint32_t half[2] = {(uint32_t)(x >> 32), (uint32_t)x};
    uint32_t root = 0, rest = 0;
    for (int i = half[0] == 0; i < 2; i++) {
        int at = 32;
        if (root == 0 && rest == 0) /* leading zeros, but for one */
            at = (nano_bit_length(half[i]) + 1) & ~1;
        while (at > 0) {
            at -= 2;
            /* cppcheck-suppress [shiftTooManyBits,signConversionCond] ; `at` is even */
            rest = rest << 2 | (half[i] >> at & 3u);
            const uint32_t trial = root << 2 | 1u;
            root <<= 1;
            if (rest >= trial) {
                rest -= trial;
                root |= 1u;
            }
        }
    }
    if (rest > root)
        root++;
    return half[0] == 0 && root > UINT16_MAX ? UINT16_MAX : root;
}
