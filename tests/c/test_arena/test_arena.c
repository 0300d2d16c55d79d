/* The arena: alignment, exhaustion, checkpoints, the high-water mark. */
#include "../check/check.h"

#include "nano/nano.h"

NANO_ALIGNED static uint8_t bytes[128];

static void test_init_refuses_bad_arguments(void) {
    nano_arena arena;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_arena_init(NULL, bytes, sizeof bytes));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_arena_init(&arena, NULL, sizeof bytes));
    for (size_t i = 1; i < NANO_ALIGN; i++)
        CHECK_EQUAL(NANO_ERR_ALIGNMENT, nano_arena_init(&arena, bytes + i, 64));
    CHECK_EQUAL(NANO_OK, nano_arena_init(&arena, bytes + NANO_ALIGN, 64));
}

static void test_init_leaves_bytes_alone(void) {
    nano_arena arena;
    bytes[0] = 17;
    bytes[127] = 18;
    CHECK_EQUAL(NANO_OK, nano_arena_init(&arena, bytes, sizeof bytes));
    CHECK_EQUAL(17, bytes[0]);
    CHECK_EQUAL(18, bytes[127]);
    CHECK_EQUAL(128, nano_arena_free(&arena));
    CHECK_EQUAL(0, arena.used);
    CHECK_EQUAL(0, arena.high);
}

static void test_alloc_aligns(void) {
    nano_arena arena;
    nano_arena_init(&arena, bytes, sizeof bytes);
    CHECK(nano_arena_alloc(&arena, 1, 1) == bytes);
    CHECK(nano_arena_alloc(&arena, 1, 1) == bytes + 1);
    CHECK(nano_arena_alloc(&arena, 3, 4) == bytes + 4);
    CHECK(nano_arena_alloc(&arena, 1, 2) == bytes + 8);
    CHECK(nano_arena_alloc(&arena, 1, 16) == bytes + 16);
    CHECK(nano_arena_alloc(&arena, 0, 8) == bytes + 24);
    CHECK_EQUAL(24, arena.used);
}

static void test_alloc_refuses_bad_alignment(void) {
    nano_arena arena;
    nano_arena_init(&arena, bytes, sizeof bytes);
    CHECK(nano_arena_alloc(NULL, 1, 1) == NULL);
    CHECK(nano_arena_alloc(&arena, 1, 0) == NULL);
    CHECK(nano_arena_alloc(&arena, 1, 3) == NULL);
    CHECK(nano_arena_alloc(&arena, 1, 32) == NULL);
    CHECK_EQUAL(0, arena.used);
}

static void test_alloc_takes_nothing_if_it_does_not_fit(void) {
    nano_arena arena;
    nano_arena_init(&arena, bytes, 64);
    CHECK(nano_arena_alloc(&arena, 65, 1) == NULL);
    CHECK(nano_arena_alloc(&arena, SIZE_MAX, 16) == NULL);
    CHECK_EQUAL(0, arena.used);
    CHECK_EQUAL(0, arena.high);
    CHECK(nano_arena_alloc(&arena, 60, 1) == bytes);
    CHECK(nano_arena_alloc(&arena, 1, 16) == NULL); /* it is the gap that does not fit */
    CHECK(nano_arena_alloc(&arena, SIZE_MAX, 8) == NULL);
    CHECK_EQUAL(60, arena.used);
    CHECK(nano_arena_alloc(&arena, 4, 4) == bytes + 60);
    CHECK_EQUAL(0, nano_arena_free(&arena));
    CHECK(nano_arena_alloc(&arena, 1, 1) == NULL);
    CHECK(nano_arena_alloc(&arena, 0, 1) == bytes + 64);
}

static void test_restore_gives_back(void) {
    nano_arena arena;
    nano_arena_init(&arena, bytes, sizeof bytes);
    nano_arena_alloc(&arena, 10, 1);
    const size_t mark = nano_arena_checkpoint(&arena);
    void *const first = nano_arena_alloc(&arena, 50, 4);
    CHECK_EQUAL(62, arena.used);
    CHECK_EQUAL(NANO_OK, nano_arena_restore(&arena, mark));
    CHECK_EQUAL(10, arena.used);
    CHECK_EQUAL(62, arena.high);
    CHECK(nano_arena_alloc(&arena, 50, 4) == first);
    CHECK_EQUAL(62, arena.high);
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_arena_restore(&arena, 63));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_arena_restore(NULL, 0));
    CHECK_EQUAL(62, arena.used);
}

static void test_status_texts_differ(void) {
    for (int a = NANO_ERR_RANGE; a <= NANO_MORE; a++) {
        const char *const text = nano_status_text((nano_status)a);
        CHECK(text != NULL && text[0] != '\0');
        for (int b = NANO_ERR_RANGE; b < a; b++)
            CHECK(nano_status_text((nano_status)b) != text);
    }
}

int main(void) {
    check_begin();
    RUN(test_init_refuses_bad_arguments);
    RUN(test_init_leaves_bytes_alone);
    RUN(test_alloc_aligns);
    RUN(test_alloc_refuses_bad_alignment);
    RUN(test_alloc_takes_nothing_if_it_does_not_fit);
    RUN(test_restore_gives_back);
    RUN(test_status_texts_differ);
    return check_end();
}
