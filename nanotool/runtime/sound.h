/* sound.h - front ends over recordings, without Python in between. */
#ifndef NANOTOOL_SOUND_H
#define NANOTOOL_SOUND_H

#include <stddef.h>
#include <stdint.h>

#include "nano/signal/mel.h"
#include "nano/signal/micro_frontend.h"
#include "nano/stream.h"

/* Feed `n` samples; `frames` gets params->channels values for every window that they complete, of
 * which there are at most n / step + 1. Returns how many. */
size_t nanotool_micro_frontend(nano_micro_frontend *frontend, size_t n, const int16_t *samples,
                               uint16_t *frames);

/* The same with params->coefficients, or params->bands, values a window. */
size_t nanotool_mel(nano_mel *mel, size_t n, const int16_t *samples, int16_t *frames);

/* The stream's kind of front end for params of that type. */
const nano_front_end *nanotool_micro_front_end(void);
const nano_front_end *nanotool_mel_front_end(void);

/* Feed `n` samples to a stream. Of every step that they complete `outputs` gets the first output's
 * bytes, and `decisions` [top a step] what it brings: `*made` in all. Returns how many steps. */
size_t nanotool_stream(nano_stream *stream, size_t n, const int16_t *samples, uint8_t *outputs,
                       nano_decision *decisions, size_t *made);

/* Reset a decider, then take `steps` outputs; `decisions` [rule->top a step] gets what they bring.
 * Returns how many. */
size_t nanotool_decide(nano_decider *decider, size_t steps, const uint8_t *outputs,
                       nano_decision *decisions);

#endif
