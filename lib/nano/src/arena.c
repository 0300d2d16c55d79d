/* arena.c - a bump pointer over the caller's bytes. */
#include "nano/arena.h"
#include "nano/config.h"

nano_status nano_arena_init(nano_arena *arena, void *buffer, size_t size) {
    if (arena == NULL || buffer == NULL)
        return NANO_ERR_ARGUMENT;
    if (((uintptr_t)buffer & (NANO_ALIGN - 1u)) != 0)
        return NANO_ERR_ALIGNMENT;
    arena->base = (uint8_t *)buffer;
    arena->size = size;
    arena->used = 0;
    arena->high = 0;
    return NANO_OK;
}

void *nano_arena_alloc(nano_arena *arena, size_t size, size_t align) {
    if (arena == NULL || align == 0 || align > NANO_ALIGN || (align & (align - 1)) != 0)
        return NULL;
    /* base is aligned to NANO_ALIGN, so an aligned offset is an aligned address. */
    const size_t gap = (align - (arena->used & (align - 1))) & (align - 1);
    const size_t left = arena->size - arena->used;
    if (gap > left || size > left - gap)
        return NULL;
    uint8_t *const start = arena->base + arena->used + gap;
    arena->used += gap + size;
    if (arena->used > arena->high)
        arena->high = arena->used;
    return start;
}

size_t nano_arena_checkpoint(const nano_arena *arena) {
    return arena->used;
}

nano_status nano_arena_restore(nano_arena *arena, size_t checkpoint) {
    if (arena == NULL || checkpoint > arena->used)
        return NANO_ERR_ARGUMENT;
    arena->used = checkpoint;
    return NANO_OK;
}

size_t nano_arena_free(const nano_arena *arena) {
    return arena->size - arena->used;
}
