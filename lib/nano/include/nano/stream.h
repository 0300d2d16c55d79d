/* nano/stream.h - from a sensor's raw samples to decisions: front end, model and rule in one call.
 *
 *     NANO_ALIGNED static uint8_t bytes[ALEXA_STREAM_ARENA_SIZE]; // from the generated alexa.h
 *     nano_arena arena;
 *     nano_stream stream;
 *     nano_arena_init(&arena, bytes, sizeof bytes);
 *     nano_stream_init(&stream, &alexa_stream, &arena);
 *     for (;;)
 *         if (nano_stream_feed(&stream, samples, read_microphone(samples)) > 0)
 *             wake_up();
 *
 * Where samples come in an interrupt, it only writes them to a ring, and the main loop pulls:
 *
 *     void on_samples(const int16_t *samples, size_t n) { nano_ring_write(&ring, samples, n); }
 *     ... if (nano_stream_pull(&stream, &ring) > 0) wake_up();
 *
 * nanotool.sensing.stream computes the same in Python; docs/streams.md has the formulas. */
#ifndef NANO_STREAM_H
#define NANO_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "nano/arena.h"
#include "nano/model.h"
#include "nano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- From outputs to decisions ------------------------------------------------------------------
 *
 * In every step each class has a score: its output's distance from the zero point; or, where votes
 * are counted, 1 if no other output is larger (of equal ones the first has the vote) and 0 if one
 * is. The sum of a class is that of its last `window` scores. A class is decided for when
 *
 *     its sum exceeds its threshold, `window` and `warm_up` steps have been taken since the reset,
 *     `refractory` steps have gone by since it was decided for last, and
 *     since then its sum has been at `release` or below (hysteresis)
 *
 * and, of several such classes, for the `top` ones with the largest sums (of equal ones the first).
 */

/* What is asked of one class. Sums are of `window` scores. */
typedef struct {
    uint16_t index;      /* of the first output's elements */
    uint16_t refractory; /* steps from a decision to the next one of this class, at least */
    int32_t threshold;
    int32_t release; /* INT32_MAX: nothing has to be waited for */
} nano_class;

/* Const data in flash; nanotool makes it. */
typedef struct {
    const nano_class *classes;
    uint16_t class_count; /* outputs without an entry are never decided for */
    uint16_t window;      /* at least 1 */
    uint16_t warm_up;
    uint8_t top;  /* most decisions in a step, at least 1 */
    uint8_t vote; /* 1: scores are votes */
} nano_rule;

typedef struct {
    uint32_t step;  /* since the reset, from 0 */
    uint16_t index; /* of the output's element */
    uint16_t place; /* of the class in rule->classes */
    int32_t sum;
} nano_decision;

/* A rule at work. The fields are the library's; read them. */
typedef struct {
    const nano_rule *rule;
    const nano_tensor *output;
    nano_decision *made; /* [made_count], of at most rule->top: the newest step's, best first */
    int32_t *sums;       /* [class_count] */
    uint16_t *silent;    /* [class_count]: steps before the next decision */
    uint8_t *held;       /* [class_count]: 1 until the sum is at `release` */
    uint8_t *scores;     /* [window][class_count]: a ring of votes, or of the output's bytes */
    uint32_t steps;      /* taken since the reset */
    uint16_t made_count;
    uint16_t oldest; /* row of `scores` */
} nano_decider;

/* Bytes of arena that a decider takes, at most. */
#define NANO_DECIDER_ROOM(classes, window, top)                                                    \
    ((classes) * (7u + (window)) + (top) * sizeof(nano_decision) + 16u)

/* Take what `rule` needs from `arena`, for outputs like `output`: int8 or uint8. Rule, tensor and
 * the arena's bytes must outlive `decider`. NANO_ERR_ARGUMENT for a NULL or a rule that is none,
 * NANO_ERR_SHAPE for a class without an output or an output of another type, NANO_ERR_MEMORY; then
 * nothing is taken. */
nano_status nano_decider_init(nano_decider *decider, const nano_rule *rule,
                              const nano_tensor *output, nano_arena *arena);

/* Forget all steps. */
void nano_decider_reset(nano_decider *decider);

/* A step: `output` are the output's bytes. Returns how many decisions it brings: decider->made. */
size_t nano_decide(nano_decider *decider, const void *output);

/* --- Samples in an interrupt --------------------------------------------------------------------
 *
 * One writes, an interrupt or another thread; one reads, who pulls. What does not fit is left out
 * whole, counted, and so is everything behind it until the reader has seen the gap: it begins anew
 * there, and never takes the two ends for one sound. */
typedef struct {
    int16_t *samples;               /* the caller's, [size] */
    uint32_t size;                  /* a power of two */
    volatile uint32_t written;      /* modulo 2^32; the writer's */
    volatile uint32_t overrun;      /* samples that were left out, modulo 2^32; the writer's */
    volatile uint32_t read;         /* modulo 2^32; the reader's */
    volatile uint32_t overrun_seen; /* the reader's */
} nano_ring;

/* An empty ring. NANO_ERR_ARGUMENT for a NULL or a size that is no power of two. */
nano_status nano_ring_init(nano_ring *ring, int16_t *samples, uint32_t size);

/* For the writer: put `n` samples into the ring, all or none. Returns how many. */
size_t nano_ring_write(nano_ring *ring, const int16_t *samples, size_t n);

/* --- All together ----------------------------------------------------------------------------- */

/* A kind of front end: samples in, frames of 16-bit features out. */
typedef struct {
    /* Make one in `arena`, reset; NULL if it has no room, or `params` are none. */
    void *(*init)(const void *params, nano_arena *arena);
    void (*reset)(void *front_end);
    /* As nano_micro_frontend_feed(). */
    size_t (*feed)(void *front_end, const int16_t *samples, size_t n, uint16_t *frame, int *ready);
    uint8_t is_signed; /* features are int16, not uint16 */
} nano_front_end;

/* Params: nano_micro_frontend_params, nano_mel_params, nano_sensor_params; a sensor's samples are
 * fed with their channels in turn. */
extern const nano_front_end nano_micro_front_end;
extern const nano_front_end nano_mel_front_end;
extern const nano_front_end nano_sensor_front_end;

/* Const data in flash; nanotool makes it. A feature x becomes the model's
 * q = floor((x multiplier + addend) / divisor) + zero point, clamped. */
typedef struct {
    const nano_model
        *model; /* its first input [frames][features], int8 or uint8, is all it takes */
    const nano_front_end *front_end;
    const void *front_end_params;
    const nano_rule *rule;
    uint16_t features;   /* of a frame */
    uint16_t frames;     /* of a step, oldest first */
    uint16_t hop;        /* frames from one step to the next, 1..frames */
    uint16_t multiplier; /* at most 2^14 */
    int32_t addend;      /* -2^29..2^29 */
    int32_t divisor;     /* at least 1 */
} nano_stream_params;

typedef struct nano_stream nano_stream;

/* Called after every step, with the decisions that it brought (stream->decider.made) and the
 * model's outputs in place (stream->net). */
typedef void (*nano_stream_listener)(void *user, const nano_stream *stream, size_t decisions);

/* A stream at work. The fields are the library's; read them. */
struct nano_stream {
    const nano_stream_params *params;
    nano_net net;
    nano_decider decider; /* decider.steps: how many since the reset */
    void *front_end;
    uint16_t *frame; /* [features] */
    int8_t *window;  /* [frames][features]: the next step's input */
    uint16_t filled; /* frames in it */
    nano_stream_listener listener;
    void *user;
};

/* Bytes of arena that a stream takes, at most, beside the model, the front end and the decider. */
#define NANO_STREAM_ROOM(features, frames) ((features) * (2u + (frames)) + 8u)

/* Take what `params` needs from `arena` and begin. `params` and the arena's bytes must outlive
 * `stream`. The statuses of nano_init() and nano_decider_init(); NANO_ERR_SHAPE if frames are not
 * what the model takes. Then nothing is taken. */
nano_status nano_stream_init(nano_stream *stream, const nano_stream_params *params,
                             nano_arena *arena);

/* Forget everything: samples, features, states, scores. */
void nano_stream_reset(nano_stream *stream);

/* Call `listener` after every step from now on; NULL for none. */
void nano_stream_listen(nano_stream *stream, nano_stream_listener listener, void *user);

/* Take `n` samples, any number, and do all the steps that they complete. Returns how many decisions
 * those brought; the newest step's are in stream->decider.made. How samples are cut into calls
 * changes nothing. */
size_t nano_stream_feed(nano_stream *stream, const int16_t *samples, size_t n);

/* Take what is in the ring, likewise. Where samples were left out, the stream is reset. */
size_t nano_stream_pull(nano_stream *stream, nano_ring *ring);

#ifdef __cplusplus
}
#endif
#endif
