/* Log-softmax: outputs of TensorFlow Lite Micro's reference kernel, and what must hold of any row.
 */
#include "../check/check.h"

#include "nano/ops.h"

enum { MOST = 16 };

typedef struct {
    nano_log_softmax_params params;
    int8_t in[MOST], out[MOST];
} row;

/* Recorded from TensorFlow Lite Micro; the input's scale is given beside each. */
static const row rows[] = {
    {{{1, 10, 1073741824, 23, -248}, {1073741824, -21}}, /* 0.0625 */
     {113, 32, 47, 101, 20, 70, 85, -71, -114, -52},
     {118, 37, 52, 106, 25, 75, 90, -66, -109, -47}},
    {{{1, 16, 1073741824, 21, -255}, {1073741824, -19}}, /* 0.015625 */
     {-56, 95, 105, -127, -1, 82, -95, 76, -98, -9, 81, -51, -41, -57, 56, -63},
     {60, 98, 101, 43, 74, 95, 51, 93, 50, 72, 95, 62, 64, 60, 88, 59}},
    {{{1, 8, 1073741824, 26, -31}, {1073741824, -24}}, /* 0.5 */
     {127, 126, 125, -128, 100, 60, 127, 0},
     {110, 102, 94, -128, -106, -128, 110, -128}},
    {{{1, 12, 1717986944, 23, -248}, {1342177260, -22}}, /* 0.1 */
     {58, -7, -3, 0, 9, 6, 1, 59, 36, 35, 24, 14},
     {113, 9, 15, 20, 35, 30, 22, 115, 78, 76, 59, 43}},
    {{{1, 9, 1099511680, 17, -255}, {2097151900, -16}}, /* 0.001 */
     {-41, 125, -9, -73, 88, -87, 91, 28, -99},
     {91, 94, 92, 91, 93, 90, 93, 92, 90}},
    {{{1, 3, 1073741824, 25, -62}, {1073741824, -23}}, /* 0.25 */
     {-128, -128, -128},
     {109, 109, 109}},
    {{{1, 4, 1610612736, 28, -7}, {1431655765, -27}}, /* 3 */
     {5, 6, 7, 6},
     {29, 77, 125, 77}},
    {{{1, 1, 1073741824, 20, -255}, {1073741824, -18}}, /* 0.0078125 */
     {42},
     {127}},
    {{{1, 9, 1374389504, 21, -255}, {1677721638, -20}}, /* 0.02 */
     {127, -128, 0, 1, 100, -100, 60, -61, 33},
     {114, 33, 74, 74, 106, 42, 93, 54, 84}},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static void run(const nano_log_softmax_params *params, const int8_t *in, int8_t *out) {
    const nano_io io = {{in, NULL}, out, NULL};
    nano_log_softmax(params, &io);
}

static void test_recorded(void) {
    int8_t out[MOST];
    for (int i = 0; i < ROWS; i++) {
        run(&rows[i].params, rows[i].in, out);
        CHECK_BYTES(rows[i].out, out, rows[i].params.row.depth);
    }
}

static void test_in_place(void) {
    int8_t bytes[MOST];
    for (int i = 0; i < ROWS; i++) {
        for (int d = 0; d < MOST; d++)
            bytes[d] = rows[i].in[d];
        run(&rows[i].params, bytes, bytes);
        CHECK_BYTES(rows[i].out, bytes, rows[i].params.row.depth);
    }
}

static void test_rows_are_independent(void) {
    nano_log_softmax_params p = rows[6].params;
    int8_t in[12], out[12];
    p.row.rows = 3;
    for (int i = 0; i < 12; i++)
        in[i] = (int8_t)(rows[6].in[i % 4] + 40 * (i / 4)); /* only differences count */
    run(&p, in, out);
    for (int r = 0; r < 3; r++)
        CHECK_BYTES(rows[6].out, out + r * 4, 4);
}

/* n equal elements give -log(n) each, in units of 1/16. */
static void test_equal_elements(void) {
    static const int32_t depth[7] = {2, 3, 16, 128, 1000, 2981, 4095};
    static const int32_t log[7] = {11, 18, 44, 78, 111, 128, 133};
    static int8_t in[4095], out[4095];
    nano_log_softmax_params p = rows[0].params;
    for (int i = 0; i < 7; i++) {
        p.row.depth = (uint32_t)depth[i];
        run(&p, in, out);
        CHECK_EQUAL(127 - log[i], out[0]);
        CHECK_EQUAL(127 - log[i], out[depth[i] - 1]);
    }
}

/* Order is kept, the largest is at least 1/n, and differences stay what they are (scale 1/16). */
static void test_order_and_differences(void) {
    uint32_t state = 41;
    for (int n = 0; n < 300; n++) {
        int8_t in[MOST], out[MOST];
        int8_t in_max = -128, out_max = -128;
        for (int d = 0; d < MOST; d++)
            in[d] = (int8_t)check_between(&state, -110, 127); /* nearer than diff_min */
        nano_log_softmax_params p = rows[0].params;
        p.row.depth = MOST;
        run(&p, in, out);
        for (int d = 0; d < MOST; d++) {
            in_max = in[d] > in_max ? in[d] : in_max;
            out_max = out[d] > out_max ? out[d] : out_max;
        }
        CHECK(out_max >= 127 - 45); /* 16 * log(16) = 44.4 */
        for (int d = 0; d < MOST; d++) {
            const int32_t wanted = out_max + in[d] - in_max;
            CHECK_EQUAL(wanted < -128 ? -128 : wanted, out[d]);
        }
    }
}

int main(void) {
    check_begin();
    RUN(test_recorded);
    RUN(test_in_place);
    RUN(test_rows_are_independent);
    RUN(test_equal_elements);
    RUN(test_order_and_differences);
    return check_end();
}
