/* mel_front_end.c - log-mel energies and MFCC as a stream's front end. */
#include "nano/signal/mel.h"
#include "nano/stream.h"

static void *init(const void *params, nano_arena *arena) {
    const size_t checkpoint = nano_arena_checkpoint(arena);
    nano_mel *const made = (nano_mel *)nano_arena_alloc(arena, sizeof(nano_mel), sizeof(void *));
    if (made == NULL)
        return NULL;
    if (nano_mel_init(made, (const nano_mel_params *)params, arena) == NANO_OK)
        return made;
    (void)nano_arena_restore(arena, checkpoint);
    return NULL;
}

static void reset(void *front_end) {
    nano_mel_reset((nano_mel *)front_end);
}

/* A frame's 16 bits are read as int16, which is_signed says. */
static size_t feed(void *front_end, const int16_t *samples, size_t n, uint16_t *frame, int *ready) {
    return nano_mel_feed((nano_mel *)front_end, samples, n, (int16_t *)frame, ready);
}

const nano_front_end nano_mel_front_end = {init, reset, feed, 1};
