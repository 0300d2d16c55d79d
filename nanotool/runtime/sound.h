/* sound.h - front ends over recordings, without Python in between. */
#ifndef NANOTOOL_SOUND_H
#define NANOTOOL_SOUND_H

#include <stddef.h>
#include <stdint.h>

#include "nano/signal/micro_frontend.h"

/* Feed `n` samples; `frames` gets params->channels values for every window that they complete, of
 * which there are at most n / step + 1. Returns how many. */
size_t nanotool_micro_frontend(nano_micro_frontend *frontend, size_t n, const int16_t *samples,
                               uint16_t *frames);

#endif
