/* sound.h - front ends over recordings and frames, without Python in between. */
#ifndef NANOTOOL_SOUND_H
#define NANOTOOL_SOUND_H

#include <stddef.h>
#include <stdint.h>

#include "nano/signal/camera.h"
#include "nano/signal/mel.h"
#include "nano/signal/micro_frontend.h"
#include "nano/signal/sensor.h"
#include "nano/stream.h"

/* The kinds of front end. */
const nano_front_end *nanotool_micro_front_end(void);
const nano_front_end *nanotool_mel_front_end(void);
const nano_front_end *nanotool_sensor_front_end(void);

/* Feed `n` samples; `frames` gets `features` values for every window that they complete. Returns
 * how many windows. */
size_t nanotool_features(const nano_front_end *kind, void *front_end, size_t features, size_t n,
                         const int16_t *samples, uint16_t *frames);

/* Pictures by lines: `n` frames of `height` lines of `pitch` bytes; `out` gets each one's picture.
 */
void nanotool_camera(nano_camera *camera, size_t n, size_t height, size_t pitch,
                     const uint8_t *frames, uint8_t *out);

/* Feed `n` samples to a stream. Of every step that they complete `outputs` gets the first output's
 * bytes, and `decisions` [top a step] what it brings: `*made` in all. Returns how many steps. */
size_t nanotool_stream(nano_stream *stream, size_t n, const int16_t *samples, uint8_t *outputs,
                       nano_decision *decisions, size_t *made);

/* Reset a decider, then take `steps` outputs; `decisions` [rule->top a step] gets what they bring.
 * Returns how many. */
size_t nanotool_decide(nano_decider *decider, size_t steps, const uint8_t *outputs,
                       nano_decision *decisions);

#endif
