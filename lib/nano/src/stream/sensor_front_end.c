/* sensor_front_end.c - windows of a sensor as a stream's front end. */
#include "nano/signal/sensor.h"
#include "nano/stream.h"

static void *init(const void *params, nano_arena *arena) {
    const size_t checkpoint = nano_arena_checkpoint(arena);
    nano_sensor *const made =
        (nano_sensor *)nano_arena_alloc(arena, sizeof(nano_sensor), sizeof(void *));
    if (made == NULL)
        return NULL;
    if (nano_sensor_init(made, (const nano_sensor_params *)params, arena) == NANO_OK)
        return made;
    (void)nano_arena_restore(arena, checkpoint);
    return NULL;
}

static void reset(void *front_end) {
    nano_sensor_reset((nano_sensor *)front_end);
}

/* A frame's 16 bits are read as int16, which is_signed says. */
static size_t feed(void *front_end, const int16_t *samples, size_t n, uint16_t *frame, int *ready) {
    return nano_sensor_feed((nano_sensor *)front_end, samples, n, (int16_t *)frame, ready);
}

const nano_front_end nano_sensor_front_end = {init, reset, feed, 1};
