/* check.h - assertions for tests on a PC and on a board, in Unity's output format.
 *
 *     static void test_sum(void) { CHECK_EQUAL(4, 2 + 2); }
 *     int main(void) { check_begin(); RUN(test_sum); return check_end(); }
 *
 * A failed check prints `file:line:test:FAIL: why` and leaves the function it stands in; only a
 * test's first failure is printed. With CHECK_EMBEDDED the bytes leave through the board's line
 * (firmware/board.h) and nothing of stdio is used. */
#ifndef CHECK_H
#define CHECK_H

#include <stddef.h>
#include <stdint.h>

#ifdef CHECK_EMBEDDED
#include "board.h"

static inline void check_putc(char c) {
    board_putc((uint8_t)c);
}

static inline void check_begin(void) {
    board_init(0, NULL);
}
#else
#include <stdio.h>

static inline void check_putc(char c) {
    putchar(c);
}

static inline void check_begin(void) {
}
#endif

static struct {
    const char *test; /* the one that runs */
    int failed;       /* has it failed? */
    int tests, failures;
} check_state;

static inline void check_text(const char *text) {
    for (; *text != '\0'; text++)
        check_putc(*text);
}

static inline void check_number(int32_t number) {
    char digits[12];
    size_t n = 0;
    uint32_t rest = number < 0 ? 0u - (uint32_t)number : (uint32_t)number;
    do {
        digits[n++] = (char)('0' + rest % 10u);
        rest /= 10u;
    } while (rest != 0);
    if (number < 0)
        check_putc('-');
    while (n > 0)
        check_putc(digits[--n]);
}

static inline void check_place(const char *file, int line) {
    check_text(file);
    check_putc(':');
    check_number(line);
    check_putc(':');
    check_text(check_state.test);
}

/* Count a failure; 1 if it is the test's first, whose message is to be printed. */
static inline int check_fail(const char *file, int line) {
    if (check_state.failed)
        return 0;
    check_state.failed = 1;
    check_place(file, line);
    check_text(":FAIL: ");
    return 1;
}

static inline int check_true(int ok, const char *text, const char *file, int line) {
    if (!ok && check_fail(file, line)) {
        check_text(text);
        check_putc('\n');
    }
    return ok;
}

static inline int check_equal(int32_t expected, int32_t actual, const char *file, int line) {
    if (expected != actual && check_fail(file, line)) {
        check_text("Expected ");
        check_number(expected);
        check_text(" Was ");
        check_number(actual);
        check_putc('\n');
    }
    return expected == actual;
}

static inline int check_bytes(const int8_t *expected, const int8_t *actual, size_t size,
                              const char *file, int line) {
    for (size_t i = 0; i < size; i++) {
        if (expected[i] == actual[i])
            continue;
        if (check_fail(file, line)) {
            check_text("Element ");
            check_number((int32_t)i);
            check_text(" Expected ");
            check_number(expected[i]);
            check_text(" Was ");
            check_number(actual[i]);
            check_putc('\n');
        }
        return 0;
    }
    return 1;
}

static inline void check_run(void (*test)(void), const char *name, const char *file, int line) {
    check_state.test = name;
    check_state.failed = 0;
    check_state.tests++;
    test();
    check_state.failures += check_state.failed;
    if (!check_state.failed) {
        check_place(file, line);
        check_text(":PASS\n");
    }
}

/* Print the sums; main()'s result. */
static inline int check_end(void) {
    check_text("\n-----------------------\n");
    check_number(check_state.tests);
    check_text(" Tests ");
    check_number(check_state.failures);
    check_text(" Failures 0 Ignored\n");
    check_text(check_state.failures == 0 ? "OK\n" : "FAIL\n");
#ifdef CHECK_EMBEDDED
    board_flush();
#endif
    return check_state.failures == 0 ? 0 : 1;
}

/* The next of a fixed sequence of 32 random bits (Marsaglia's xorshift); `*state` is not 0. */
static inline uint32_t check_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* A random number from low to high, both included. */
static inline int32_t check_between(uint32_t *state, int32_t low, int32_t high) {
    const uint32_t count = (uint32_t)high - (uint32_t)low + 1u;
    return (int32_t)((uint32_t)low + (check_random(state) >> 4) % count);
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!check_true((condition) ? 1 : 0, #condition, __FILE__, __LINE__))                      \
            return;                                                                                \
    } while (0)
#define CHECK_EQUAL(expected, actual)                                                              \
    do {                                                                                           \
        if (!check_equal((int32_t)(expected), (int32_t)(actual), __FILE__, __LINE__))              \
            return;                                                                                \
    } while (0)
#define CHECK_BYTES(expected, actual, size)                                                        \
    do {                                                                                           \
        if (!check_bytes((expected), (actual), (size), __FILE__, __LINE__))                        \
            return;                                                                                \
    } while (0)
#define RUN(test) check_run(test, #test, __FILE__, __LINE__)

#endif
