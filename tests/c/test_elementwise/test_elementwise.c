/* Binary kernels and PReLU: cases reckoned by hand, operands in flash; at random the formulas in
 * int64, broadcasting, and outputs over either operand. */
#include "../check/check.h"

#include "nano/ops.h"

enum { ROOM = 1024, CASES = 300 };
static int8_t first[ROOM], second[ROOM], expected[ROOM], actual[ROOM], shared[3 * ROOM];

static const nano_store whole = {0, -128, 127};

static void run(nano_kernel kernel, const void *params, const int8_t *a, const int8_t *b,
                int8_t *out) {
    const nano_io io = {{a, b}, out, NULL};
    kernel(params, &io);
}

/* Two vectors of n elements. */
static nano_operands vectors(uint32_t n) {
    const nano_operands o = {NULL, NULL, {1, 1, 1, n}, {0, 0, 0, 1}, {0, 0, 0, 1}};
    return o;
}

/* --- By hand ------------------------------------------------------------------------------- */

/* Both scales equal: each factor is 1/2, and out_factor = 2 * scale(a) / scale(out) / 2^20. */
static nano_add_params equal_scales(uint32_t n, int32_t multiplier, int8_t shift) {
    const nano_add_params p = {vectors(n),          0,    0, {1 << 30, 0}, {1 << 30, 0},
                               {multiplier, shift}, whole};
    return p;
}

static void test_add(void) {
    static const int8_t a[6] = {1, -1, 100, -100, 127, -128}, b[6] = {2, -2, 100, -100, 0, 0};
    static const int8_t sums[6] = {3, -3, 127, -128, 127, -128};
    static const int8_t differences[6] = {-1, 1, 0, 0, 127, -128};
    const nano_add_params p = equal_scales(6, 1 << 30, -18); /* 2^-19 */
    int8_t out[6];
    run(nano_add, &p, a, b, out);
    CHECK_BYTES(sums, out, 6);
    run(nano_sub, &p, a, b, out);
    CHECK_BYTES(differences, out, 6);
}

static void test_add_rounds_halves_away_from_zero(void) {
    static const int8_t a[5] = {1, 2, 3, -1, -3}, b[5] = {0, 0, 0, 0, 0};
    static const int8_t halved[5] = {1, 1, 2, -1, -2};
    const nano_add_params p = equal_scales(5, 1 << 30, -19); /* output scale twice the inputs' */
    int8_t out[5];
    run(nano_add, &p, a, b, out);
    CHECK_BYTES(halved, out, 5);
}

static void test_add_zero_points_and_clamp(void) {
    static const int8_t a[3] = {-128, 127, 0}, b[3] = {-128, 127, 1};
    static const int8_t sums[3] = {10, 60, 10};
    nano_add_params p = equal_scales(3, 1 << 30, -18);
    p.a_zero_point = -1;
    p.b_zero_point = 3;
    p.store.zero_point = 10;
    p.store.min = 10;
    p.store.max = 60;
    int8_t out[3];
    run(nano_add, &p, a, b, out);
    CHECK_BYTES(sums, out, 3);
}

static void test_add_extremes(void) {
    static const int8_t low[1] = {-128}, high[1] = {127};
    nano_add_params p = equal_scales(1, INT32_MAX, 0); /* the largest factor that is allowed */
    int8_t out;
    p.a_zero_point = p.b_zero_point = 127;
    run(nano_add, &p, low, low, &out); /* -255 * 2^20 */
    CHECK_EQUAL(-128, out);
    p.a_zero_point = p.b_zero_point = -128;
    run(nano_add, &p, high, high, &out);
    CHECK_EQUAL(127, out);
    p.b_zero_point = 127;
    run(nano_sub, &p, high, low, &out); /* 255 less -255 */
    CHECK_EQUAL(127, out);
    run(nano_add, &p, high, low, &out);
    CHECK_EQUAL(0, out);
}

static void test_squared_difference(void) {
    static const int8_t a[6] = {1, -1, 3, 100, -128, 5}, b[6] = {2, 2, 0, -100, 127, 5};
    static const int8_t squares[6] = {1, 9, 9, 127, 127, 0};
    const nano_add_params p =
        equal_scales(6, 1 << 30, -11); /* 2^-12: the square of scale / 2 * 2^7 */
    int8_t out[6];
    run(nano_squared_difference, &p, a, b, out);
    CHECK_BYTES(squares, out, 6);
}

static void test_compare(void) {
    static const int8_t a[5] = {-128, 127, 4, 5, 6}, b[5] = {127, -128, 2, 2, 2};
    static const int8_t greater[5] = {0, 1, 0, 0, 1}, unequal[5] = {1, 1, 1, 0, 1};
    nano_compare_params p = {vectors(5),   1,        0, {1 << 30, 0},
                             {1 << 30, 1}, {0, 0, 1}}; /* b twice a */
    int8_t out[5];
    run(nano_compare, &p, a, b, out);
    CHECK_BYTES(greater, out, 5);
    p.answers[0] = 1;
    run(nano_compare, &p, a, b, out);
    CHECK_BYTES(unequal, out, 5);
}

static void test_mul(void) {
    static const int8_t a[6] = {2, -2, 100, -128, -128, 7}, b[6] = {3, 3, 100, -128, 127, 0};
    static const int8_t products[6] = {6, -6, 127, 127, -128, 0};
    nano_mul_params p = {vectors(6), 0, 0, {1 << 30, 1}, whole};
    int8_t out[6];
    run(nano_mul, &p, a, b, out);
    CHECK_BYTES(products, out, 6);
    /* (a + 1) * (b - 1) / 64, halves away from zero, less 1 */
    static const int8_t c[6] = {31, -33, 127, -128, 47, 0}, d[6] = {2, 2, 65, 65, 3, 3};
    static const int8_t quotients[6] = {0, -2, 127, -128, 1, -1}; /* 0.5, -0.5, 128, -127, 1.5 */
    p.a_zero_point = -1;
    p.b_zero_point = 1;
    p.factor.shift = -5;
    p.store.zero_point = -1;
    run(nano_mul, &p, c, d, out);
    CHECK_BYTES(quotients, out, 6);
}

static void test_maximum_and_minimum(void) {
    static const int8_t a[4] = {-128, 127, 5, -5}, b[4] = {127, -128, 5, -6};
    static const int8_t largest[4] = {100, 100, 5, -5}, smallest[4] = {-50, -50, 5, -6};
    const nano_extremum_params p = {vectors(4), -50, 100};
    int8_t out[4];
    run(nano_maximum, &p, a, b, out);
    CHECK_BYTES(largest, out, 4);
    run(nano_minimum, &p, a, b, out);
    CHECK_BYTES(smallest, out, 4);
}

static void test_prelu(void) {
    /* slopes 1/4, -1/2, 0 a channel (scale 1/64, zero point 2) over two pixels; zero point 1 */
    static const int8_t in[6] = {101, 1, 0, -99, -9, -128}, slopes[3] = {18, -30, 2};
    static const int8_t results[6] = {100, 0, 0, -25, 5, 0};
    const nano_operands o = {NULL, slopes, {1, 1, 2, 3}, {0, 0, 3, 1}, {0, 0, 0, 1}};
    const nano_prelu_params p = {o, 1, 2, {1 << 30, 1}, {1 << 30, -5}, whole};
    int8_t out[6];
    run(nano_prelu, &p, in, NULL, out);
    CHECK_BYTES(results, out, 6);
}

static void test_an_operand_in_flash(void) {
    static const int8_t in[2] = {10, 20}, flash[2] = {1, 2};
    static const int8_t in_less[2] = {9, 18}, less_in[2] = {-9, -18};
    nano_add_params p = equal_scales(2, 1 << 30, -18);
    int8_t out[2];
    p.operands.b = flash;
    run(nano_sub, &p, in, NULL, out);
    CHECK_BYTES(in_less, out, 2);
    p.operands.a = flash;
    p.operands.b = NULL;
    run(nano_sub, &p, in, NULL, out); /* the only input is then the second operand */
    CHECK_BYTES(less_in, out, 2);
}

/* --- Broadcasting, at random --------------------------------------------------------------- */

/* Axes of 1..4 elements; an operand has 1 where it stretches. Fills the strides, and the number of
 * elements that each operand has and the output. */
static nano_operands pick_operands(uint32_t *state, uint32_t size[3]) {
    nano_operands o = {NULL, NULL, {0}, {0}, {0}};
    size[0] = size[1] = size[2] = 1;
    for (int i = 3; i >= 0; i--) {
        const int32_t choice = check_between(state, 0, 5);
        o.shape[i] = (uint32_t)check_between(state, 1, 4);
        o.stride_a[i] = choice == 0 ? 0 : size[0];
        o.stride_b[i] = choice == 1 ? 0 : size[1];
        size[0] *= choice == 0 ? 1 : o.shape[i];
        size[1] *= choice == 1 ? 1 : o.shape[i];
        size[2] *= o.shape[i];
    }
    return o;
}

/* Where output byte k finds its operand. */
static uint32_t source(const uint32_t shape[4], const uint32_t stride[4], uint32_t k) {
    uint32_t at = 0;
    for (int i = 3; i >= 0; i--) {
        at += k % shape[i] * stride[i];
        k /= shape[i];
    }
    return at;
}

/* round(x * multiplier * 2^(shift - 31)) in two roundings, by their definition. */
static int64_t scaled(int64_t x, const nano_factor *factor) {
    const int64_t left = x * ((int64_t)1 << (factor->shift > 0 ? factor->shift : 0));
    const int64_t sum = left * factor->multiplier + ((int64_t)1 << 30), unit = (int64_t)1 << 31;
    const int64_t high = sum / unit - (sum % unit < 0 ? 1 : 0); /* halves up */
    const int right = factor->shift > 0 ? 0 : -factor->shift;
    const int64_t half = right > 0 ? (int64_t)1 << (right - 1) : 0;
    return high < 0 ? -((-high + half) >> right) : (high + half) >> right; /* halves away from 0 */
}

static int8_t stored(int64_t x, const nano_store *store) {
    const int64_t q = x + store->zero_point;
    return (int8_t)(q < store->min ? store->min : q > store->max ? store->max : q);
}

static nano_factor pick_factor(uint32_t *state, int32_t low, int32_t high) {
    const nano_factor f = {(int32_t)(0x40000000u | (check_random(state) >> 2)),
                           (int8_t)check_between(state, low, high)};
    return f;
}

static int16_t pick_zero_point(uint32_t *state) {
    const int32_t choice = check_between(state, 0, 3);
    return (int16_t)(choice == 0 ? -128 : choice == 1 ? 127 : check_between(state, -128, 127));
}

static nano_store pick_store(uint32_t *state) {
    nano_store s = {pick_zero_point(state), -128, 127};
    if (check_between(state, 0, 1)) {
        s.min = (int16_t)check_between(state, -128, 0);
        s.max = (int16_t)check_between(state, 0, 127);
    }
    return s;
}

static void fill(uint32_t *state) {
    for (int i = 0; i < ROOM; i++) {
        first[i] = (int8_t)check_between(state, -128, 127);
        second[i] = (int8_t)check_between(state, -128, 127);
    }
}

typedef int8_t (*pair_function)(const void *params, int8_t a, int8_t b);

/* The output `distance` bytes below operand a (or b) in one buffer. */
static void run_over(nano_kernel kernel, const void *params, int over_b, int32_t distance) {
    int8_t *const out = shared + (distance < 0 ? -distance : 0);
    int8_t *const in = out + distance;
    for (int i = 0; i < ROOM; i++)
        in[i] = over_b ? second[i] : first[i];
    run(kernel, params, over_b ? first : in, over_b ? in : second, out);
    for (int i = 0; i < ROOM; i++)
        actual[i] = out[i];
}

/* The smallest distance from output to operand that nano/ops.h allows. */
static int32_t smallest_distance(const nano_operands *o, const uint32_t stride[4], uint32_t size) {
    int32_t needed = ROOM, distance = -ROOM;
    for (int32_t k = (int32_t)size - 1; k >= 0; k--) {
        const int32_t at = (int32_t)source(o->shape, stride, (uint32_t)k);
        distance = k - needed + 1 > distance ? k - needed + 1 : distance;
        needed = at < needed ? at : needed;
    }
    return distance;
}

/* Against `function`, from separate buffers, and over either operand. 1 if all is well. */
static int agrees(nano_kernel kernel, const void *params, const nano_operands *o,
                  const uint32_t size[3], pair_function function) {
    for (uint32_t k = 0; k < size[2]; k++)
        expected[k] = function(params, first[source(o->shape, o->stride_a, k)],
                               second[source(o->shape, o->stride_b, k)]);
    run(kernel, params, first, second, actual);
    if (!check_bytes(expected, actual, size[2], __FILE__, __LINE__))
        return 0;
    run_over(kernel, params, 0, smallest_distance(o, o->stride_a, size[2]));
    if (!check_bytes(expected, actual, size[2], __FILE__, __LINE__))
        return 0;
    run_over(kernel, params, 1, smallest_distance(o, o->stride_b, size[2]));
    return check_bytes(expected, actual, size[2], __FILE__, __LINE__);
}

static int64_t operand(int8_t q, int32_t zero_point, const nano_factor *factor) {
    return scaled((int64_t)(q - zero_point) * (1 << 20), factor);
}

static int8_t add_pair(const void *params, int8_t a, int8_t b) {
    const nano_add_params *const p = (const nano_add_params *)params;
    return stored(scaled(operand(a, p->a_zero_point, &p->a_factor) +
                             operand(b, p->b_zero_point, &p->b_factor),
                         &p->out_factor),
                  &p->store);
}

static int8_t sub_pair(const void *params, int8_t a, int8_t b) {
    const nano_add_params *const p = (const nano_add_params *)params;
    return stored(scaled(operand(a, p->a_zero_point, &p->a_factor) -
                             operand(b, p->b_zero_point, &p->b_factor),
                         &p->out_factor),
                  &p->store);
}

static void test_add_and_sub_at_random(void) {
    uint32_t state = 21, size[3];
    for (int n = 0; n < CASES; n++) {
        nano_add_params p = {.operands = pick_operands(&state, size),
                             .a_zero_point = pick_zero_point(&state),
                             .b_zero_point = pick_zero_point(&state),
                             .a_factor = {1 << 30, 0},
                             .b_factor = pick_factor(&state, -12, -1),
                             .out_factor = pick_factor(&state, -24, -10),
                             .store = pick_store(&state)};
        fill(&state);
        CHECK(agrees(nano_add, &p, &p.operands, size, add_pair));
        CHECK(agrees(nano_sub, &p, &p.operands, size, sub_pair));
    }
}

static int8_t mul_pair(const void *params, int8_t a, int8_t b) {
    const nano_mul_params *const p = (const nano_mul_params *)params;
    const int64_t product = (int64_t)(a - p->a_zero_point) * (b - p->b_zero_point);
    return stored(scaled(product, &p->factor), &p->store);
}

static void test_mul_at_random(void) {
    uint32_t state = 22, size[3];
    for (int n = 0; n < CASES; n++) {
        nano_mul_params p = {.operands = pick_operands(&state, size),
                             .a_zero_point = pick_zero_point(&state),
                             .b_zero_point = pick_zero_point(&state),
                             .factor = pick_factor(&state, -14, 3),
                             .store = pick_store(&state)};
        fill(&state);
        CHECK(agrees(nano_mul, &p, &p.operands, size, mul_pair));
    }
}

static int8_t maximum_pair(const void *params, int8_t a, int8_t b) {
    const nano_extremum_params *const p = (const nano_extremum_params *)params;
    const nano_store store = {0, p->min, p->max};
    return stored(a > b ? a : b, &store);
}

static int8_t minimum_pair(const void *params, int8_t a, int8_t b) {
    const nano_extremum_params *const p = (const nano_extremum_params *)params;
    const nano_store store = {0, p->min, p->max};
    return stored(a < b ? a : b, &store);
}

static void test_extrema_at_random(void) {
    uint32_t state = 23, size[3];
    for (int n = 0; n < CASES; n++) {
        const nano_store store = pick_store(&state);
        nano_extremum_params p = {pick_operands(&state, size), store.min, store.max};
        fill(&state);
        CHECK(agrees(nano_maximum, &p, &p.operands, size, maximum_pair));
        CHECK(agrees(nano_minimum, &p, &p.operands, size, minimum_pair));
    }
}

static int8_t prelu_pair(const void *params, int8_t a, int8_t b) {
    const nano_prelu_params *const p = (const nano_prelu_params *)params;
    const int64_t d = a - p->a_zero_point;
    return stored(d >= 0 ? scaled(d, &p->positive)
                         : scaled(d * (b - p->b_zero_point), &p->negative),
                  &p->store);
}

static void test_prelu_at_random(void) {
    uint32_t state = 24, size[3];
    for (int n = 0; n < CASES; n++) {
        nano_prelu_params p = {.operands = pick_operands(&state, size),
                               .a_zero_point = pick_zero_point(&state),
                               .b_zero_point = pick_zero_point(&state),
                               .positive = pick_factor(&state, -6, 6),
                               .negative = pick_factor(&state, -14, 3),
                               .store = pick_store(&state)};
        fill(&state);
        CHECK(agrees(nano_prelu, &p, &p.operands, size, prelu_pair));
    }
}

int main(void) {
    check_begin();
    RUN(test_add);
    RUN(test_add_rounds_halves_away_from_zero);
    RUN(test_add_zero_points_and_clamp);
    RUN(test_add_extremes);
    RUN(test_squared_difference);
    RUN(test_compare);
    RUN(test_mul);
    RUN(test_maximum_and_minimum);
    RUN(test_prelu);
    RUN(test_an_operand_in_flash);
    RUN(test_add_and_sub_at_random);
    RUN(test_mul_at_random);
    RUN(test_extrema_at_random);
    RUN(test_prelu_at_random);
    return check_end();
}
