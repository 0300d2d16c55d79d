/* micro_front_end.c - the micro frontend as a stream's. */
#include "nano/signal/micro_frontend.h"
#include "nano/stream.h"

static void *init(const void *params, nano_arena *arena) {
    const size_t checkpoint = nano_arena_checkpoint(arena);
    nano_micro_frontend *const made =
        (nano_micro_frontend *)nano_arena_alloc(arena, sizeof(nano_micro_frontend), sizeof(void *));
    if (made == NULL)
        return NULL;
    const nano_micro_frontend_params *const p = (const nano_micro_frontend_params *)params;
    if (nano_micro_frontend_init(made, p, arena) == NANO_OK)
        return made;
    (void)nano_arena_restore(arena, checkpoint);
    return NULL;
}

static void reset(void *front_end) {
    nano_micro_frontend_reset((nano_micro_frontend *)front_end);
}

static size_t feed(void *front_end, const int16_t *samples, size_t n, uint16_t *frame, int *ready) {
    return nano_micro_frontend_feed((nano_micro_frontend *)front_end, samples, n, frame, ready);
}

const nano_front_end nano_micro_front_end = {init, reset, feed, 0};
