/* sound.c - front ends over recordings. */
#include "sound.h"

size_t nanotool_micro_frontend(nano_micro_frontend *frontend, size_t n, const int16_t *samples,
                               uint16_t *frames) {
    size_t count = 0;
    while (n > 0) {
        int ready;
        const size_t taken = nano_micro_frontend_feed(
            frontend, samples, n, frames + count * frontend->params->channels, &ready);
        samples += taken;
        n -= taken;
        count += ready ? 1 : 0;
    }
    return count;
}
