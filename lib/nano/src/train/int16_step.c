/* int16_step.c - the update of a head's integers: docs/training.md has the formulas;
 * tests/python/training_twins/int16.py is the twin, bit by bit.
 *
 * A parameter takes one random word, whatever its values are: the word rounds what it moves by, and
 * its halves, swapped, round the parameter itself. */
#include "int16.h"

#include "../simd.h"

/* What one unit of a layer's gradients means: of weights, of biases. */
static nano_train_factor gradient_unit(const nano_train *head, uint32_t l, int biases) {
    const int32_t bits = nano_train_error_bits(head, l);
    if (biases)
        return nano_train_factor_of(1, -bits);
    return nano_train_shifted(nano_train_input_unit(head, l),
                              (int32_t)nano_train_gradient_shift(head, l) - bits);
}

/* Sum of squares of `count` integers: their highest 16 bits count. */
static nano_train_factor square_sum(const int32_t *values, uint32_t count) {
    uint32_t any = 0, shift = 0;
    for (uint32_t i = 0; i < count; i++)
        any |= (uint32_t)(values[i] < 0 ? -values[i] : values[i]);
    while (any >> shift > 0xFFFFu)
        shift++;
    uint32_t high = 0, low = 0; /* 64 bits; the parts of 2^32 and 1 */
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t m = (uint32_t)(values[i] < 0 ? -values[i] : values[i]) >> shift;
        low += m * m;
        high += low < m * m;
    }
    const nano_train_factor total =
        nano_train_plus(nano_train_factor_of(high, 32), nano_train_factor_of(low, 0));
    return nano_train_shifted(total, 2 * (int32_t)shift);
}

/* The norm of the sums of gradients. */
static nano_train_factor norm(const nano_train *head) {
    nano_train_factor total = {0, 0};
    for (uint32_t l = 0; l < head->config->layer_count; l++) {
        const nano_train_place *const place = &head->layer[l];
        const int32_t *const g = (const int32_t *)place->gradient;
        const uint32_t weights = nano_train_weights(place);
        for (int biases = 0; biases < 2; biases++) {
            const nano_train_factor unit = gradient_unit(head, l, biases);
            const nano_train_factor sum =
                biases ? square_sum(g + weights, place->outputs) : square_sum(g, weights);
            total = nano_train_plus(total, nano_train_times(sum, nano_train_times(unit, unit)));
        }
    }
    return nano_train_root(total);
}

/* From sums of gradients to their clipped mean. */
static nano_train_factor mean_factor(const nano_train *head) {
    const nano_train_factor one = nano_train_factor_of(1, 0);
    const nano_train_factor count = nano_train_factor_of(head->pending, 0);
    const nano_train_factor clip = nano_train_factor_of_float(head->recipe.clip);
    if (clip.mantissa == 0)
        return nano_train_over(one, count);
    const nano_train_factor sums = norm(head);
    const int small = !nano_train_less(nano_train_times(clip, count), sums);
    return small ? nano_train_over(one, count) : nano_train_over(clip, sums);
}

/* What a parameter's update multiplies by: a real number * 2^point each, and * 2^right. */
typedef struct {
    int32_t keep, mean, decay; /* momentum; 1 / samples, or what clips; weight decay */
    uint32_t point;            /* 2..MOST_POINT */
    int32_t rate;              /* minus the learning rate: in the parameter's units */
    uint32_t right;            /* 0..MOST_RIGHT */
} update;

#define MOST_POINT 30
#define MOST_RIGHT 62
#define LARGEST_MOMENT (((int32_t)1 << 30) - 1) /* the smallest: one more below 0 */

/* factor * 2^point, cut off, saturating */
static int32_t multiplier(nano_train_factor factor, uint32_t point) {
    const int32_t bits = factor.exponent + (int32_t)point;
    if (factor.mantissa == 0 || bits <= 0)
        return 0;
    return bits > 31 ? INT32_MAX : (int32_t)(factor.mantissa >> (32 - bits));
}

static inline int32_t within(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

static update prepare(const nano_train *head, uint32_t l, int biases, nano_train_factor mean) {
    const nano_train_recipe *const r = &head->recipe;
    const nano_train_factor unit = gradient_unit(head, l, biases);
    const int32_t bits = biases ? 16 : head->config->layers[l].weight_bits;
    const nano_train_factor decay = nano_train_over(
        nano_train_shifted(nano_train_factor_of_float(r->weight_decay), -bits), unit);
    const nano_train_factor rate = nano_train_shifted(
        nano_train_times(nano_train_times(nano_train_factor_of_float(r->rate),
                                          nano_train_factor_of(
                                              nano_train_rate_factor(r, head->record->steps), -31)),
                         unit),
        bits);
    update u = {0, 0, 0, 0, 0, 0};
    u.point = (uint32_t)within(31 - decay.exponent, 2, MOST_POINT);
    u.right = (uint32_t)within(31 - rate.exponent, 0, MOST_RIGHT);
    u.keep = multiplier(nano_train_factor_of_float(r->momentum), u.point);
    u.mean = multiplier(mean, u.point);
    u.decay = multiplier(decay, u.point);
    u.rate = -multiplier(rate, u.right);
    return u;
}

/* A moment lies within -2^30..2^30 - 1, a weight within int16. */
#if NANO_SIMD
#define MOMENT(value) nano_ssat31(value)
#define WEIGHT(value) nano_ssat16(value)
#else
#define MOMENT(value) within(value, -LARGEST_MOMENT - 1, LARGEST_MOMENT)
#define WEIGHT(value) within(value, INT16_MIN, INT16_MAX)
#endif

/* A loop that needs all registers, with no more arguments than they hold. */
#if defined(__clang__)
#define ALONE __attribute__((noinline))
#elif defined(__GNUC__)
#define ALONE __attribute__((noinline, noclone))
#else
#define ALONE
#endif

static inline uint32_t swapped(uint32_t word) {
    return word << 16 | word >> 16;
}

/* What is added to a parameter `p` with the sum of gradients `sum`; `v` NULL: no momentum. */
static int32_t gain(const update *u, int32_t p, int32_t sum, int32_t *v, uint32_t word) {
    nano_train_sum total = nano_train_random_part(word, u->point);
    total = nano_train_add_product(total, sum, u->mean);
    total = nano_train_add_product(total, p, u->decay);
    if (v != NULL)
        total = nano_train_add_product(total, *v, u->keep);
    const int32_t direction = MOMENT(nano_train_shift_down(total, u->point));
    if (v != NULL)
        *v = direction;
    return nano_train_shift_down(
        nano_train_add_product(nano_train_random_part(swapped(word), u->right), direction, u->rate),
        u->right);
}

/* The same for weights with momentum and without decay, where no shift crosses a word: the point
 * is MOST_POINT, `right` 33 or more. */
static ALONE void step_momentum(int16_t *w, int32_t *g, int32_t *v, uint32_t count, const update *u,
                                uint32_t *random) {
    const int32_t keep = u->keep, mean = u->mean, rate = u->rate;
    const uint32_t right = u->right - 32;
    uint32_t state = *random;
    for (const int16_t *const end = w + count; w != end; w++, g++, v++) {
        const uint32_t word = nano_train_random(&state);
        nano_train_sum total = {0, word >> (32 - MOST_POINT)};
        total = nano_train_add_product(total, *v, keep);
        total = nano_train_add_product(total, *g, mean);
        const uint32_t whole = total.low >> MOST_POINT | (uint32_t)total.high << (32 - MOST_POINT);
        const int32_t direction = MOMENT((int32_t)whole);
        const uint32_t turned = swapped(word);
        nano_train_sum moved = {(int32_t)(turned >> (32 - right)), turned << right};
        moved = nano_train_add_product(moved, direction, rate);
        *v = direction;
        *g = 0;
        *w = (int16_t)WEIGHT(*w + (moved.high >> right));
    }
    *random = state;
}

static void step_weights(nano_train *head, const nano_train_place *place, uint32_t count,
                         const update *u) {
    int16_t *const w = (int16_t *)place->weights;
    int32_t *const g = (int32_t *)place->gradient, *const v = (int32_t *)place->moment[0];
    uint32_t *const random = &head->record->random;
    if (v != NULL && u->decay == 0 && u->point == MOST_POINT && u->right > 32) {
        step_momentum(w, g, v, count, u, random);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const int32_t gained =
            gain(u, w[i], g[i], v == NULL ? NULL : &v[i], nano_train_random(random));
        w[i] = (int16_t)WEIGHT(nano_train_add(w[i], gained));
        g[i] = 0;
    }
}

static void step_biases(nano_train *head, const nano_train_place *place, uint32_t count,
                        const update *u) {
    const uint32_t weights = nano_train_weights(place);
    int32_t *const b = (int32_t *)place->bias, *const g = (int32_t *)place->gradient + weights;
    int32_t *const v = (int32_t *)place->moment[0];
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t word = nano_train_random(&head->record->random);
        const int32_t gained = gain(u, b[i], g[i], v == NULL ? NULL : &v[weights + i], word);
        b[i] = nano_train_add(b[i], gained);
        g[i] = 0;
    }
}

void nano_train_int16_step(nano_train *head) {
    const nano_train_factor mean = mean_factor(head);
    for (uint32_t l = 0; l < head->config->layer_count; l++) {
        const nano_train_place *const place = &head->layer[l];
        const uint32_t active = nano_train_active(head, l);
        const update weights = prepare(head, l, 0, mean), biases = prepare(head, l, 1, mean);
        step_weights(head, place, active * place->inputs, &weights);
        step_biases(head, place, active, &biases);
    }
}
