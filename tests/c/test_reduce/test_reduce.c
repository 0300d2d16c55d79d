/* Mean, argmax and cumulative sums: cases reckoned by hand, random ones against their definition,
 * outputs over their inputs. */
#include "../check/check.h"

#include "nano/ops.h"

enum { ROOM = 1024, CASES = 300 };
static int8_t input[ROOM], expected[ROOM], actual[ROOM], shared[3 * ROOM];

static void run(nano_kernel kernel, const void *params, const void *in, void *out) {
    const nano_io io = {{in, NULL}, out, NULL};
    kernel(params, &io);
}

/* Run with the output `distance` bytes below the input in one buffer. */
static void run_shared(nano_kernel kernel, const void *params, int32_t distance) {
    int8_t *const out = shared + (distance < 0 ? -distance : 0);
    int8_t *const in = out + distance;
    for (int i = 0; i < ROOM; i++)
        in[i] = input[i];
    run(kernel, params, in, out);
    for (int i = 0; i < ROOM; i++)
        actual[i] = out[i];
}

static void fill(uint32_t *state, int32_t low, int32_t high) {
    for (int i = 0; i < ROOM; i++)
        input[i] = (int8_t)check_between(state, low, high);
}

/* --- Mean ---------------------------------------------------------------------------------- */

static const nano_store whole = {0, -128, 127};

static void test_mean_over_rows_and_columns(void) {
    static const int8_t in[12] = {1, 10, -3, 2, 20, -3, 3, 30, -3, 5, 40, -2}; /* 2, 2, 3 */
    static const int8_t means[3] = {3, 25, -3};                                /* 2.75, -2.75 */
    const nano_mean_params p = {.kept = {1, 3},
                                .kept_stride = {0, 1},
                                .reduced = {1, 4},
                                .reduced_stride = {0, 3},
                                .offset = 0,
                                .scale = {1 << 30, -1}, /* 1/4 */
                                .store = whole};
    int8_t out[3];
    run(nano_mean, &p, in, out);
    CHECK_BYTES(means, out, 3);
}

static void test_mean_over_channels(void) {
    static const int8_t in[6] = {0, 100, 127, -128, 5, 6};
    static const int8_t means[3] = {50, 0, 6}; /* -0.5 up to 0, then 0; 5.5 */
    nano_mean_params p = {.kept = {1, 3},
                          .kept_stride = {0, 2},
                          .reduced = {1, 2},
                          .reduced_stride = {0, 1},
                          .offset = 0,
                          .scale = {1 << 30, 0},
                          .store = whole};
    int8_t out[3];
    run(nano_mean, &p, in, out);
    CHECK_BYTES(means, out, 3);
    static const int8_t shifted[3] = {33, -10, -10}; /* mean - 7 - 10, clamped */
    p.offset = -14;
    p.store.zero_point = -10;
    p.store.min = -10;
    run(nano_mean, &p, in, out);
    CHECK_BYTES(shifted, out, 3);
}

static void test_mean_of_one(void) {
    static const int8_t in[2] = {-128, 127};
    const nano_mean_params p = {.kept = {1, 2},
                                .kept_stride = {0, 1},
                                .reduced = {1, 1},
                                .reduced_stride = {0, 0},
                                .offset = 0,
                                .scale = {1 << 30, 1},
                                .store = whole};
    int8_t out[2];
    run(nano_mean, &p, in, out);
    CHECK_BYTES(in, out, 2);
}

/* k0 r0 k1 r1 or r0 k0 r1 k1, axes of 1..5; the sum itself, clamped, is the output. */
static void test_mean_at_random(void) {
    uint32_t state = 51;
    for (int n = 0; n < CASES; n++) {
        const int kept_first = check_between(&state, 0, 1) ? 1 : 0;
        nano_mean_params p = {.scale = {1 << 30, 1}, .store = whole};
        uint32_t stride = 1;
        for (int axis = 3; axis >= 0; axis--) {
            const uint32_t size = (uint32_t)check_between(&state, 1, 5);
            const int kept = (axis % 2 == 0) == kept_first;
            (kept ? p.kept : p.reduced)[axis / 2] = size;
            (kept ? p.kept_stride : p.reduced_stride)[axis / 2] = stride;
            stride *= size;
        }
        p.offset = check_between(&state, -50, 50);
        fill(&state, -20, 20);
        const int32_t size = (int32_t)(p.kept[0] * p.kept[1]);
        int32_t needed = ROOM, distance = -ROOM;
        for (int32_t k = size - 1; k >= 0; k--) {
            const uint32_t i = (uint32_t)k / p.kept[1], j = (uint32_t)k % p.kept[1];
            const uint32_t first = i * p.kept_stride[0] + j * p.kept_stride[1];
            int32_t sum = p.offset;
            for (uint32_t r = 0; r < p.reduced[0] * p.reduced[1]; r++)
                sum += input[first + r / p.reduced[1] * p.reduced_stride[0] +
                             r % p.reduced[1] * p.reduced_stride[1]];
            expected[k] = (int8_t)(sum < -128 ? -128 : sum > 127 ? 127 : sum);
            distance = k - needed + 1 > distance ? k - needed + 1 : distance;
            needed = (int32_t)first < needed ? (int32_t)first : needed;
        }
        run(nano_mean, &p, input, actual);
        CHECK_BYTES(expected, actual, (size_t)size);
        run_shared(nano_mean, &p, distance);
        CHECK_BYTES(expected, actual, (size_t)size);
    }
}

/* --- Argmax -------------------------------------------------------------------------------- */

static void test_argmax_takes_the_first(void) {
    static const int8_t in[5] = {-128, 3, 127, 127, 0};
    const nano_argmax_params p = {1, 5, 1};
    int32_t out = -1;
    run(nano_argmax, &p, in, &out);
    CHECK_EQUAL(2, out);
    static const int8_t equal[5] = {-128, -128, -128, -128, -128};
    run(nano_argmax, &p, equal, &out);
    CHECK_EQUAL(0, out);
}

static void test_argmax_along_the_middle(void) {
    static const int8_t in[12] = {1, 9, 3, 8, 2, 8, 0, -1, 0, -2, 1, -3}; /* 2, 3, 2 */
    static const int32_t places[4] = {1, 0, 2, 0};
    const nano_argmax_params p = {2, 3, 2};
    int32_t out[4];
    run(nano_argmax, &p, in, out);
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(places[i], out[i]);
}

/* The output may begin where the last element that is read lies: rows of 16 shrink to 4 bytes. */
static void test_argmax_in_place(void) {
    static int32_t words[16];
    int8_t *const bytes = (int8_t *)words;
    const nano_argmax_params p = {4, 16, 1};
    uint32_t state = 52;
    for (int n = 0; n < CASES; n++) {
        int32_t places[4] = {0, 0, 0, 0};
        for (int i = 0; i < 64; i++) {
            bytes[i] = (int8_t)check_between(&state, -3, 3);
            if (bytes[i] > bytes[i / 16 * 16 + places[i / 16]])
                places[i / 16] = i % 16;
        }
        run(nano_argmax, &p, bytes, words);
        for (int i = 0; i < 4; i++)
            CHECK_EQUAL(places[i], words[i]);
    }
}

/* --- Cumulative sum ------------------------------------------------------------------------ */

/* With scale 1 on both sides: 2^-left * 2^left. */
static nano_cumsum_params cumsum(uint32_t outer, uint32_t count, uint32_t inner) {
    const nano_cumsum_params p = {
        outer, count, inner, 0, 0, 19, 0, 0, {1 << 30, -18}, {0, -128, 127},
    };
    return p;
}

static void run_cumsum(const nano_cumsum_params *p, const int8_t *in, int8_t *out) {
    static int32_t scratch[8];
    const nano_io io = {{in, NULL}, out, scratch};
    nano_cumsum(p, &io);
}

static void test_cumsum_in_four_ways(void) {
    static const int8_t in[4] = {1, 2, 3, 100};
    static const int8_t sums[2][2][4] = {
        {{1, 3, 6, 106}, {106, 105, 103, 100}},
        {{0, 1, 3, 6}, {105, 103, 100, 0}},
    };
    nano_cumsum_params p = cumsum(1, 4, 1);
    for (int exclusive = 0; exclusive < 2; exclusive++)
        for (int reverse = 0; reverse < 2; reverse++) {
            p.exclusive = (uint8_t)exclusive;
            p.reverse = (uint8_t)reverse;
            run_cumsum(&p, in, actual);
            for (int i = 0; i < 4; i++)
                CHECK_EQUAL(sums[exclusive][reverse][i], actual[i]);
        }
}

/* Two slabs of three by two, with zero points, in place; the clamp holds. */
static void test_cumsum_along_the_middle(void) {
    int8_t data[12] = {5, 6, 7, 8, 9, 10, 25, 5, 25, 5, 127, 4};
    static const int8_t sums[12] = {-1, 0, 1, 3, 5, 8, 19, -1, 39, -1, 100, -2};
    nano_cumsum_params p = cumsum(2, 3, 2);
    p.in_zero_point = 5;
    p.store.zero_point = -1;
    p.store.max = 100;
    run_cumsum(&p, data, data);
    for (int i = 0; i < 12; i++)
        CHECK_EQUAL(sums[i], data[i]);
}

static void test_cumsum_begins_with_start(void) {
    static const int8_t in[4] = {1, 2, 3, 100};
    static const int8_t sums[2][4] = {{-7, -6, -4, -1}, {98, 96, 93, -7}};
    nano_cumsum_params p = cumsum(1, 4, 1);
    p.start = -7;
    p.exclusive = 1;
    for (int reverse = 0; reverse < 2; reverse++) {
        p.reverse = (uint8_t)reverse;
        run_cumsum(&p, in, actual);
        for (int i = 0; i < 4; i++)
            CHECK_EQUAL(sums[reverse][i], actual[i]);
    }
}

int main(void) {
    check_begin();
    RUN(test_cumsum_in_four_ways);
    RUN(test_cumsum_along_the_middle);
    RUN(test_cumsum_begins_with_start);
    RUN(test_mean_over_rows_and_columns);
    RUN(test_mean_over_channels);
    RUN(test_mean_of_one);
    RUN(test_mean_at_random);
    RUN(test_argmax_takes_the_first);
    RUN(test_argmax_along_the_middle);
    RUN(test_argmax_in_place);
    return check_end();
}
