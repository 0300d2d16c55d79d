/* fuzz.h - what every C harness has: its input as numbers, and a way to say that something is
 * wrong.
 *
 * A harness is one file, harnesses/NAME.c, with
 *
 *     int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
 *
 * It is linked with all of lib/nano and firmware/app and with the board of the app's unit tests
 * (tests/c/fake/fake_board.h), under AddressSanitizer and UndefinedBehaviorSanitizer. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The input's bytes still to come; when there are no more, zeros come. */
typedef struct {
    const uint8_t *at, *end;
} fuzz_input;

static inline uint32_t fuzz_byte(fuzz_input *in) {
    return in->at < in->end ? *in->at++ : 0u;
}

static inline uint32_t fuzz_word(fuzz_input *in) {
    const uint32_t low = fuzz_byte(in);
    return low | fuzz_byte(in) << 8;
}

static inline uint32_t fuzz_long(fuzz_input *in) {
    const uint32_t low = fuzz_word(in);
    return low | fuzz_word(in) << 16;
}

/* 0 .. `limit` - 1. */
static inline uint32_t fuzz_below(fuzz_input *in, uint32_t limit) {
    return fuzz_byte(in) % limit;
}

/* All of the app's memory as it was before the first input: a power-on between two inputs. */
void fuzz_power_on(void);

/* The app's main(): takes the line's bytes from fuzz_line() until that answers -1. */
int fuzz_main(int argc, char *argv[]);

#endif
