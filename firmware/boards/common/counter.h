/* counter.h - instructions and microseconds from a free-running counter of an emulated board.
 *
 * QEMU's option -icount shift=S gives each executed instruction 2^S virtual ns. A counter of P ns a
 * count, P <= 2^S, moves by at least one with each instruction: after i of them it holds
 * c = floor(i * 2^S / P), and i = ceil(c * P / 2^S) is the only number that gives c. That holds as
 * long as nothing else moves the virtual clock; so no timer of the machine may be running. */
#ifndef COMMON_COUNTER_H
#define COMMON_COUNTER_H

#include <stdint.h>

/* Begins with zeros at reset. */
typedef struct {
    uint32_t count;   /* when it was last read */
    uint32_t wrapped; /* instructions of its wraps, modulo 2^32 */
} instruction_counter;

/* Instructions executed since reset, modulo 2^32. `count`: the counter, read now; `period`: its P
 * in ns; `shift`: S. Exact if asked at least once in its 2^32 counts. */
static inline uint32_t counter_instructions(instruction_counter *self, uint32_t count,
                                            uint32_t period, uint32_t shift) {
    const uint32_t rest =
        (1u << shift) - period; /* ceil(c * P / 2^S) = c - floor(c * rest / 2^S) */
    const uint32_t low = count & ((1u << shift) - 1u);
    const uint32_t a_wrap = period << (32u - shift);
    self->wrapped += a_wrap & (0u - (uint32_t)(count < self->count));
    self->count = count;
    return self->wrapped + count - rest * (count >> shift) - (rest * low >> shift);
}

typedef struct {
    uint32_t count; /* the counter when `micros` was right */
    uint32_t micros;
} microsecond_counter;

/* Microseconds since `self->count` was set. `count`: a counter of `mhz` MHz, read now. Right if
 * asked at least once in its 2^32 counts. */
static inline uint32_t counter_micros(microsecond_counter *self, uint32_t count, uint32_t mhz) {
    const uint32_t passed = (count - self->count) / mhz;
    self->micros += passed;
    self->count += passed * mhz;
    return self->micros;
}

#endif
