/* ring.c - samples from an interrupt to the main loop, without a lock.
 *
 * Writer and reader each have counters that only they write. What one has stored is stored before
 * its counter says so, and read after the other has seen the counter. */
#include "ring.h"

nano_status nano_ring_init(nano_ring *ring, int16_t *samples, uint32_t size) {
    if (ring == NULL || samples == NULL || size == 0 || (size & (size - 1u)) != 0)
        return NANO_ERR_ARGUMENT;
    ring->samples = samples;
    ring->size = size;
    ring->written = ring->read = 0;
    ring->overrun = ring->overrun_seen = 0;
    return NANO_OK;
}

size_t nano_ring_write(nano_ring *ring, const int16_t *samples, size_t n) {
    const uint32_t written = ring->written;
    const uint32_t room = ring->size - (written - nano_ring_load(&ring->read));
    if (n > room || ring->overrun != nano_ring_load(&ring->overrun_seen)) {
        nano_ring_store(&ring->overrun, ring->overrun + (uint32_t)n);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        ring->samples[(written + i) & (ring->size - 1u)] = samples[i];
    nano_ring_store(&ring->written, written + (uint32_t)n);
    return n;
}
