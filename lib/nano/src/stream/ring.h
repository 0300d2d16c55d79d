/* ring.h - counters that two sides see (internal). */
#ifndef NANO_STREAM_RING_H
#define NANO_STREAM_RING_H

#include "nano/stream.h"

/* Everything that the other side stored before the counter is seen after the load; everything
 * stored here is stored before the counter is. Compilers unlike GCC and Clang are only told not to
 * leave out or reorder the counters themselves. */
#if defined(__GNUC__)
#define NANO_RING_ACQUIRE() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define NANO_RING_RELEASE() __atomic_thread_fence(__ATOMIC_RELEASE)
#else
#define NANO_RING_ACQUIRE() ((void)0)
#define NANO_RING_RELEASE() ((void)0)
#endif

static inline uint32_t nano_ring_load(const volatile uint32_t *counter) {
    const uint32_t value = *counter;
    NANO_RING_ACQUIRE();
    return value;
}

static inline void nano_ring_store(volatile uint32_t *counter, uint32_t value) {
    NANO_RING_RELEASE();
    *counter = value;
}

#endif
