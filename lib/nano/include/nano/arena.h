/* nano/arena.h - the caller's memory, handed out by a bump pointer. */
#ifndef NANO_ARENA_H
#define NANO_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "nano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A region of the caller's memory from which everything that changes is taken.
 *
 * The bytes belong to the caller and must outlive every model that runs in them.
 * Nothing is freed one by one: take a checkpoint, allocate, restore. */
typedef struct {
    uint8_t *base; /* caller's buffer, aligned to NANO_ALIGN */
    size_t size;   /* bytes in it */
    size_t used;   /* bytes taken now */
    size_t high;   /* most bytes ever taken: size your buffer by this */
} nano_arena;

/* Make `arena` an empty arena over `size` bytes at `buffer`. The bytes are not touched.
 * NANO_ERR_ARGUMENT for NULL, NANO_ERR_ALIGNMENT if `buffer` is not aligned to NANO_ALIGN. */
nano_status nano_arena_init(nano_arena *arena, void *buffer, size_t size);

/* Take `size` bytes aligned to `align` (a power of two, at most NANO_ALIGN). The bytes are not
 * cleared. Returns NULL, and takes nothing, if they do not fit or `align` is no such power. */
void *nano_arena_alloc(nano_arena *arena, size_t size, size_t align);

/* The state to which nano_arena_restore() goes back. */
size_t nano_arena_checkpoint(const nano_arena *arena);

/* Give back all that was taken since `checkpoint`; pointers into it die. The high-water mark
 * stays. NANO_ERR_ARGUMENT if `checkpoint` lies ahead of what is in use. */
nano_status nano_arena_restore(nano_arena *arena, size_t checkpoint);

/* Bytes not yet taken. */
size_t nano_arena_free(const nano_arena *arena);

#ifdef __cplusplus
}
#endif
#endif
