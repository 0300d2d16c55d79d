/* Kernels that move elements: cases reckoned by hand, copies and paddings at random against their
 * definition, outputs over their inputs. */
#include "../check/check.h"

#include "nano/ops.h"

enum { ROOM = 2048, CASES = 300 };
static int8_t input[ROOM], expected[ROOM], actual[ROOM], shared[3 * ROOM];

static void run(nano_kernel kernel, const void *params, const int8_t *in, int8_t *out) {
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

static void fill(uint32_t *state) {
    for (int i = 0; i < ROOM; i++)
        input[i] = (int8_t)check_between(state, -128, 127);
}

/* --- Copy ---------------------------------------------------------------------------------- */

static const int8_t counted[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

static void test_copy_transposes(void) {
    static const int8_t turned[12] = {0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}; /* 2,3,2 to 2,2,3 */
    const nano_copy_params p = {NULL, {1, 2, 2, 3}, 0, 0, {0, 1, 6, 2}, {0, 6, 3, 1}};
    int8_t out[12];
    run(nano_copy, &p, counted, out);
    CHECK_BYTES(turned, out, 12);
}

static void test_copy_slices(void) {
    static const int8_t sliced[4] = {5, 7, 9, 11}; /* rows 1..2 of 3 x 4, columns 1 and 3 */
    const nano_copy_params p = {NULL, {1, 1, 2, 2}, 5, 0, {0, 0, 4, 2}, {0, 0, 2, 1}};
    int8_t out[4];
    run(nano_copy, &p, counted, out);
    CHECK_BYTES(sliced, out, 4);
}

static void test_copy_concatenates(void) {
    /* two pixels of 2 channels and two of 1, side by side; other bytes stay */
    static const int8_t a[4] = {1, 2, 3, 4}, b[2] = {5, 6};
    static const int8_t both[7] = {1, 2, 5, 3, 4, 6, 99};
    const nano_copy_params pa = {NULL, {1, 1, 2, 2}, 0, 0, {0, 0, 2, 1}, {0, 0, 3, 1}};
    const nano_copy_params pb = {NULL, {1, 1, 1, 2}, 0, 2, {0, 0, 0, 1}, {0, 0, 0, 3}};
    int8_t out[7] = {99, 99, 99, 99, 99, 99, 99};
    run(nano_copy, &pb, b, out);
    run(nano_copy, &pa, a, out);
    CHECK_BYTES(both, out, 7);
}

static void test_copy_from_flash(void) {
    static const int8_t flash[3] = {7, 8, 9}, two[2] = {8, 9};
    const nano_copy_params p = {flash, {1, 1, 1, 2}, 1, 0, {0, 0, 0, 1}, {0, 0, 0, 1}};
    int8_t out[2];
    run(nano_copy, &p, NULL, out);
    CHECK_BYTES(two, out, 2);
}

/* A strided copy into a dense output, which it writes in memory order. */
static nano_copy_params pick_copy(uint32_t *state) {
    nano_copy_params p = {NULL, {1, 1, 1, 1}, (uint32_t)check_between(state, 0, 60), 0, {0}, {0}};
    uint32_t size = 1;
    for (int i = 3; i >= 0; i--) {
        p.shape[i] = (uint32_t)check_between(state, 1, 5);
        p.in_stride[i] =
            i == 3 && check_between(state, 0, 1) ? 1 : (uint32_t)check_between(state, 0, 90);
        p.out_stride[i] = size;
        size *= p.shape[i];
    }
    return p;
}

static int32_t copy_source(const nano_copy_params *p, uint32_t k) {
    uint32_t at = p->in_offset;
    for (int i = 3; i >= 0; i--) {
        at += k % p->shape[i] * p->in_stride[i];
        k /= p->shape[i];
    }
    return (int32_t)at;
}

static void test_copy_at_random(void) {
    uint32_t state = 31;
    for (int n = 0; n < CASES; n++) {
        const nano_copy_params p = pick_copy(&state);
        const int32_t size = (int32_t)(p.shape[0] * p.out_stride[0]);
        int32_t needed = ROOM, distance = -ROOM;
        fill(&state);
        for (int32_t k = size - 1; k >= 0; k--) {
            const int32_t at = copy_source(&p, (uint32_t)k);
            expected[k] = input[at];
            distance = k - needed + 1 > distance ? k - needed + 1 : distance;
            needed = at < needed ? at : needed;
        }
        run(nano_copy, &p, input, actual);
        CHECK_BYTES(expected, actual, (size_t)size);
        run_shared(nano_copy, &p, distance);
        CHECK_BYTES(expected, actual, (size_t)size);
    }
}

/* A copy back into scattered places: the inverse of a strided one. */
static void test_copy_scatters(void) {
    uint32_t state = 32;
    for (int n = 0; n < CASES; n++) {
        nano_copy_params gather = {NULL, {3, 4, 2, 5}, 7, 0, {0}, {40, 10, 5, 1}};
        static const uint32_t order[3][4] = {{40, 10, 5, 1}, {1, 3, 12, 24}, {5, 30, 120, 1}};
        const uint32_t *const stride = order[check_between(&state, 0, 2)];
        for (int i = 0; i < 4; i++)
            gather.in_stride[i] = stride[i];
        nano_copy_params scatter = gather;
        scatter.in_offset = 0;
        scatter.out_offset = gather.in_offset;
        for (int i = 0; i < 4; i++) {
            scatter.in_stride[i] = gather.out_stride[i];
            scatter.out_stride[i] = gather.in_stride[i];
        }
        fill(&state);
        run(nano_copy, &gather, input, expected);
        run(nano_copy, &scatter, expected, actual);
        run(nano_copy, &gather, actual, actual + ROOM / 2);
        CHECK_BYTES(expected, actual + ROOM / 2, 120);
    }
}

/* --- Pad ----------------------------------------------------------------------------------- */

static void test_pad(void) {
    static const int8_t in[4] = {1, 2, 3, 4}; /* 2 x 2 */
    static const int8_t padded[12] = {-7, -7, -7, 1, 2, -7, 3, 4, -7, -7, -7, -7};
    const nano_pad_params p = {{1, 1, 2, 2}, {0, 0, 1, 0}, {0, 0, 1, 1}, -7};
    int8_t out[12];
    run(nano_pad, &p, in, out);
    CHECK_BYTES(padded, out, 12);
}

/* The input offset of output element k of a padding; -1 for a new element. */
static int32_t pad_source(const nano_pad_params *p, uint32_t k) {
    uint32_t at = 0, stride = 1;
    for (int i = 3; i >= 0; i--) {
        const uint32_t size = p->before[i] + p->shape[i] + p->after[i], index = k % size;
        if (index < p->before[i] || index >= p->before[i] + p->shape[i])
            return -1;
        at += (index - p->before[i]) * stride;
        stride *= p->shape[i];
        k /= size;
    }
    return (int32_t)at;
}

static void test_pad_at_random(void) {
    uint32_t state = 33;
    for (int n = 0; n < CASES; n++) {
        nano_pad_params p = {{0}, {0}, {0}, (int8_t)check_between(&state, -128, 127)};
        int32_t size = 1, needed = ROOM, distance = -ROOM;
        for (int i = 0; i < 4; i++) {
            p.shape[i] = (uint32_t)check_between(&state, 1, 3);
            p.before[i] = (uint32_t)check_between(&state, 0, 2);
            p.after[i] = (uint32_t)check_between(&state, 0, i == 3 ? 2 : 1);
            size *= (int32_t)(p.before[i] + p.shape[i] + p.after[i]);
        }
        fill(&state);
        for (int32_t k = size - 1; k >= 0; k--) {
            const int32_t at = pad_source(&p, (uint32_t)k);
            expected[k] = at < 0 ? p.value : input[at];
            distance = k - needed + 1 > distance ? k - needed + 1 : distance;
            needed = at >= 0 && at < needed ? at : needed;
        }
        run(nano_pad, &p, input, actual);
        CHECK_BYTES(expected, actual, (size_t)size);
        run_shared(nano_pad, &p, distance);
        CHECK_BYTES(expected, actual, (size_t)size);
    }
}

/* --- Resize -------------------------------------------------------------------------------- */

static void test_resize_nearest(void) {
    static const int8_t in[8] = {1, 2, 3, 4, 5, 6, 7, 8}; /* 2, 2, 2 */
    static const uint16_t rows[3] = {1, 0, 0}, columns[2] = {0, 1};
    static const int8_t resized[12] = {5, 6, 7, 8, 1, 2, 3, 4, 1, 2, 3, 4};
    const nano_resize_nearest_params p = {rows, columns, 2, 3, 2, 2};
    int8_t out[12];
    run(nano_resize_nearest, &p, in, out);
    CHECK_BYTES(resized, out, 12);
}

static void test_resize_bilinear_doubles(void) {
    static const int8_t in[2] = {0, 10};                                       /* one row */
    static const int8_t edges[4] = {0, 5, 10, 10}, centers[4] = {0, 3, 8, 10}; /* 2.5, 7.5 */
    nano_resize_bilinear_params p = {1, 2, 1, 4, 1, 1024, 512, 0, 0};
    int8_t out[4];
    run(nano_resize_bilinear, &p, in, out);
    CHECK_BYTES(edges, out, 4);
    p.start_w = 512 / 2 - 512; /* half_pixel_centers */
    run(nano_resize_bilinear, &p, in, out);
    CHECK_BYTES(centers, out, 4);
}

static void test_resize_bilinear_aligns_corners(void) {
    static const int8_t in[8] = {-128, 0, 127, 0, 127, 0, -128, 1}; /* 2, 2, 2 */
    /* channel 0: -128 .. 127 / 127 .. -128; the middle -0.5 rounds away from zero */
    static const int8_t resized[18] = {-128, 0,  -1, 0,   127, 0,  -1, 0,    -1,
                                       0,    -1, 1,  127, 0,   -1, 1,  -128, 1};
    const nano_resize_bilinear_params p = {2, 2, 3, 3, 2, 512, 512, 0, 0};
    int8_t out[18];
    run(nano_resize_bilinear, &p, in, out);
    CHECK_BYTES(resized, out, 18);
}

static void test_resize_bilinear_beyond_the_rim(void) {
    /* rounded steps carry the last columns past the input's end: they hold its last element */
    enum { COLUMNS = 100 };
    static const int8_t in[1] = {-77};
    const nano_resize_bilinear_params p = {1, 1, 1, COLUMNS, 1, 1024, 11, 0, 0};
    int8_t out[COLUMNS];
    run(nano_resize_bilinear, &p, in, out);
    for (int i = 0; i < COLUMNS; i++)
        CHECK_EQUAL(-77, out[i]);
}

static void test_resize_over_its_input(void) {
    /* shrinking 8 x 8 to 4 x 4 in place: every output byte lies before what later ones need */
    static const uint16_t even[4] = {0, 2, 4, 6};
    const nano_resize_nearest_params nearest = {even, even, 8, 4, 4, 3};
    const nano_resize_bilinear_params bilinear = {8, 8, 4, 4, 3, 2048, 2048, 512, 512};
    uint32_t state = 34;
    fill(&state);
    run(nano_resize_nearest, &nearest, input, expected);
    run_shared(nano_resize_nearest, &nearest, 0);
    CHECK_BYTES(expected, actual, 48);
    run(nano_resize_bilinear, &bilinear, input, expected);
    run_shared(nano_resize_bilinear, &bilinear, 0);
    CHECK_BYTES(expected, actual, 48);
}

int main(void) {
    check_begin();
    RUN(test_copy_transposes);
    RUN(test_copy_slices);
    RUN(test_copy_concatenates);
    RUN(test_copy_from_flash);
    RUN(test_copy_at_random);
    RUN(test_copy_scatters);
    RUN(test_pad);
    RUN(test_pad_at_random);
    RUN(test_resize_nearest);
    RUN(test_resize_bilinear_doubles);
    RUN(test_resize_bilinear_aligns_corners);
    RUN(test_resize_bilinear_beyond_the_rim);
    RUN(test_resize_over_its_input);
    return check_end();
}
