/* Softmax: outputs of TensorFlow Lite Micro's reference kernel, and what must hold of any row. */
#include "../check/check.h"

#include "../../../lib/nano/src/ops/softmax/exponentials.h"
#include "nano/ops.h"

enum { MOST = 16 };

typedef struct {
    nano_softmax_params params;
    int8_t in[MOST], out[MOST];
} row;

/* Recorded from TensorFlow Lite Micro; beta * scale is given beside each. */
static const row rows[] = {
    {{1, 10, 1073741824, 23, -248}, /* 0.0625 */
     {113, 32, 47, 101, 20, 70, 85, -71, -114, -52},
     {19, -127, -126, -58, -128, -118, -102, -128, -128, -128}},
    {{1, 16, 1073741824, 21, -255}, /* 1/64 */
     {-56, 95, 105, -127, -1, 82, -95, 76, -98, -9, 81, -51, -41, -57, 56, -63},
     {-124, -86, -79, -127, -119, -94, -126, -97, -126, -120, -94, -124, -123, -124, -105, -124}},
    {{1, 8, 1073741824, 26, -31}, /* 0.5 */
     {127, 126, 125, -128, 100, 60, 127, 0},
     {-42, -76, -96, -128, -128, -128, -42, -128}},
    {{1, 12, 1073741840, 25, -62}, /* 2.5 * 0.1 */
     {58, -7, -3, 0, 9, 6, 1, 59, 36, 35, 24, 14},
     {-16, -128, -128, -128, -128, -128, -128, 15, -128, -128, -128, -128}},
    {{1, 9, 1099511680, 17, -255}, /* 0.001 */
     {-41, 125, -9, -73, 88, -87, 91, 28, -99},
     {-101, -96, -100, -102, -97, -102, -97, -99, -102}},
    {{1, 3, 1073741824, 25, -62}, {-128, -128, -128}, {-43, -43, -43}},  /* 0.25 */
    {{1, 4, 1610612736, 28, -7}, {5, 6, 7, 6}, {-127, -116, 104, -116}}, /* 3 */
    {{1, 1, 1073741824, 20, -255}, {42}, {127}},                         /* 1/128 */
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static void run(const nano_softmax_params *params, const int8_t *in, int8_t *out) {
    const nano_io io = {{in, NULL}, out, NULL};
    nano_softmax(params, &io);
}

static void test_recorded(void) {
    int8_t out[MOST];
    for (int i = 0; i < ROWS; i++) {
        run(&rows[i].params, rows[i].in, out);
        CHECK_BYTES(rows[i].out, out, rows[i].params.depth);
    }
}

static void test_in_place(void) {
    int8_t bytes[MOST];
    for (int i = 0; i < ROWS; i++) {
        for (int d = 0; d < MOST; d++)
            bytes[d] = rows[i].in[d];
        run(&rows[i].params, bytes, bytes);
        CHECK_BYTES(rows[i].out, bytes, rows[i].params.depth);
    }
}

static void test_rows_are_independent(void) {
    nano_softmax_params p = rows[6].params;
    int8_t in[12], out[12];
    p.rows = 3;
    for (int i = 0; i < 12; i++)
        in[i] = (int8_t)(rows[6].in[i % 4] + 40 * (i / 4)); /* only differences count */
    run(&p, in, out);
    for (int r = 0; r < 3; r++)
        CHECK_BYTES(rows[6].out, out + r * 4, 4);
}

/* The probabilities sum to 1 (256) but for one rounding each, and order is kept. */
static void test_sum_and_order(void) {
    uint32_t state = 21;
    for (int n = 0; n < 300; n++) {
        int8_t in[MOST], out[MOST];
        int32_t sum = 0;
        const nano_softmax_params p = {1, MOST,
                                       (int32_t)(0x40000000u | (check_random(&state) >> 2)),
                                       (int16_t)check_between(&state, 18, 23), -247};
        for (int d = 0; d < MOST; d++)
            in[d] = (int8_t)check_between(&state, -120, 127);
        run(&p, in, out);
        for (int d = 0; d < MOST; d++) {
            sum += out[d] + 128;
            for (int e = 0; e < d; e++)
                CHECK(in[d] >= in[e] ? out[d] >= out[e] : out[d] <= out[e]);
        }
        CHECK(256 - MOST / 2 <= sum && sum <= 256 + MOST / 2);
    }
}

/* Beyond 512 equal elements each probability is below half a step. */
static void test_deep_rows(void) {
    static int8_t in[8191], out[8191];
    nano_softmax_params p = {1, 511, 1 << 30, 23, -248};
    run(&p, in, out);
    CHECK_EQUAL(-127, out[0]); /* 256 / 511 */
    CHECK_EQUAL(-127, out[510]);
    for (p.depth = 514; p.depth <= 8191; p.depth += 853) { /* the last one is 8191 */
        run(&p, in, out);
        CHECK_EQUAL(-128, out[0]);
        CHECK_EQUAL(-128, out[p.depth - 1]);
    }
}

/* Recorded from the twin in nanotool.numerics, which TensorFlow Lite Micro confirms. Each of the
 * three steps shows in some of them. */
static void test_reciprocals(void) {
    static const int32_t recorded[][2] = {
        {0, 2147483647},          {1024, 2147482622},       {123456789, 2030738432},
        {500000000, 1741912938},  {1073741824, 1431655762}, {1300000000, 1337696270},
        {1610612736, 1227133516}, {2000000000, 1111923858}, {2147483647, 1073741820}};
    for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++)
        CHECK_EQUAL(recorded[i][1], nano_one_over_one_plus(recorded[i][0]));
}

int main(void) {
    check_begin();
    RUN(test_recorded);
    RUN(test_in_place);
    RUN(test_rows_are_independent);
    RUN(test_sum_and_order);
    RUN(test_deep_rows);
    RUN(test_reciprocals);
    return check_end();
}
