/* anomaly.c - how far a sample is from all that is normal, in integers. */
#include "work.h"

#include "../product.h"
#include "../simd.h"

/* Slots whose distances are computed together. */
#define ROWS 2u

/* The smallest variance, in 1/256: that of a feature's own grid step. */
#define LEAST_VARIANCE 256u

/* Most that one feature adds to a Gaussian's score: 2^14 of them stay below 2^31. */
#define MOST_OF_FEATURE 131071u

/* --- The nearest of the replay buffer ----------------------------------------------------------
 */

#if NANO_SIMD
/* sum + the squares of the differences of two times two bytes. */
static inline int32_t add_squares(uint32_t bytes, nano_halves even, nano_halves odd, int32_t sum) {
    const nano_halves a = nano_ssub16(nano_sxtb16(bytes), even);
    const nano_halves b = nano_ssub16(nano_sxtb16_ror8(bytes), odd);
    return nano_smlad(b, b, nano_smlad(a, a, sum));
}

/* Over the first features, as many as are a multiple of 4; their number. */
static uint32_t begin_squares(const int8_t *x, const int8_t *rows, size_t pitch, uint32_t n,
                              int32_t sums[ROWS]) {
    const int8_t *const begin = x, *const end = x + (n & ~(uint32_t)3), *other = rows + pitch;
    int32_t s0 = 0, s1 = 0;
    for (; x != end; x += 4, rows += 4, other += 4) {
        const uint32_t bytes = nano_load_unaligned(x);
        const nano_halves even = nano_sxtb16(bytes), odd = nano_sxtb16_ror8(bytes);
        s0 = add_squares(nano_load_unaligned(rows), even, odd, s0);
        s1 = add_squares(nano_load_unaligned(other), even, odd, s1);
    }
    sums[0] = s0;
    sums[1] = s1;
    return (uint32_t)(end - begin);
}
#else
static uint32_t begin_squares(const int8_t *x, const int8_t *rows, size_t pitch, uint32_t n,
                              int32_t sums[ROWS]) {
    (void)x;
    (void)rows;
    (void)pitch;
    (void)n;
    for (uint32_t r = 0; r < ROWS; r++)
        sums[r] = 0;
    return 0;
}
#endif

/* Squared distances, at most 2^14 * 255^2 < 2^31, of x[n] from ROWS rows that lie `pitch` apart. */
static void squared_distances(const int8_t *x, const int8_t *rows, size_t pitch, uint32_t n,
                              int32_t sums[ROWS]) {
    const uint32_t begun = begin_squares(x, rows, pitch, n, sums);
    for (uint32_t r = 0; begun < n && r < ROWS; r++, rows += pitch) {
        int32_t sum = sums[r];
        for (uint32_t i = begun; i < n; i++) {
            const int32_t d = x[i] - rows[i];
            sum += d * d;
        }
        sums[r] = sum;
    }
}

/* The least distance of x from the samples that the replay buffer holds; UINT32_MAX if there are
 * none. With `own`, a recording, only from those of other ones. */
static uint32_t nearest(const nano_train *head, const int8_t *x, const uint16_t *own) {
    const uint32_t n = head->config->features, used = head->record->replay_used;
    const uint32_t step = used < ROWS ? 1 : ROWS; /* few: each is taken for all of the rows */
    uint32_t least = UINT32_MAX;
    for (uint32_t slot = 0; slot < used; slot += step) {
        const uint32_t first = used - slot < step ? used - step : slot; /* the last ones overlap */
        int32_t sums[ROWS];
        squared_distances(x, head->replay_features + (size_t)first * n, step == ROWS ? n : 0, n,
                          sums);
        for (uint32_t r = 0; r < step; r++)
            if ((own == NULL || head->recordings[first + r] != *own) && (uint32_t)sums[r] < least)
                least = (uint32_t)sums[r];
    }
    return least;
}

/* --- A Gaussian whose features are independent -------------------------------------------------
 */

/* dividend / divisor, cut off; below 2^bits, and divisor below 2^(64 - bits). Not every core's
 * compiler brings a division of 64 bits, or shifts by a number that is not constant. */
static uint32_t quotient(uint64_t dividend, uint64_t divisor, uint32_t bits) {
    uint32_t result = 0;
    for (uint32_t i = 0; i < bits; i++)
        divisor <<= 1;
    while (bits-- > 0) {
        divisor >>= 1;
        result <<= 1;
        if (dividend >= divisor) {
            dividend -= divisor;
            result |= 1;
        }
    }
    return result;
}

/* Means and weights of the newest sums. */
static void fit(nano_train *head) {
    const uint32_t count = head->record->learned;
    for (uint32_t i = 0; i < head->config->features; i++) {
        const int32_t sum = head->normal_sums[i];
        const uint32_t size = (uint32_t)(sum < 0 ? -sum : sum);
        const uint64_t spread =
            nano_product(count, head->normal_squares[i]) - nano_product(size, size);
        /* spread < 2^50, count^2 < 2^36; a variance is at most 2^22 */
        const uint32_t variance = quotient(256 * spread, nano_product(count, count), 23);
        const uint32_t weight =
            ((uint32_t)1 << 24) / (variance < LEAST_VARIANCE ? LEAST_VARIANCE : variance);
        head->normal_weights[i] = (uint16_t)(weight > UINT16_MAX ? UINT16_MAX : weight);
        head->normal_means[i] = (int16_t)nano_train_mean_of(head->normal_sums[i], (int32_t)count);
    }
    head->fitted = 1;
}

static uint32_t gaussian_score(nano_train *head, const int8_t *x) {
    uint32_t total = 0;
    if (!head->fitted)
        fit(head);
    for (uint32_t i = 0; i < head->config->features; i++) {
        const int32_t d = 16 * x[i] - head->normal_means[i];
        const uint64_t square = nano_product((uint32_t)(d * d), head->normal_weights[i]) >> 20;
        total += square < MOST_OF_FEATURE ? (uint32_t)square : MOST_OF_FEATURE;
    }
    return total;
}

/* --- Calls -------------------------------------------------------------------------------------
 */

nano_status nano_train_learn(nano_train *head, const int8_t *features, uint16_t label,
                             uint16_t recording) {
    const nano_status status = nano_train_check_sample(head, features, label);
    if (status != NANO_OK)
        return status;
    if (head->config->anomaly == NANO_TRAIN_NO_ANOMALY ||
        (head->normal_sums != NULL && head->record->learned == NANO_TRAIN_MAX_LEARNED))
        return NANO_ERR_STATE;
    if (head->config->replay_slots > 0) {
        const nano_status kept = nano_train_keep(head, features, label, recording);
        if (kept != NANO_OK)
            return kept;
    }
    for (uint32_t i = 0; head->normal_sums != NULL && i < head->config->features; i++) {
        head->normal_sums[i] += features[i];
        head->normal_squares[i] += (uint32_t)(features[i] * features[i]);
    }
    if (head->record->learned < UINT32_MAX)
        head->record->learned++;
    head->fitted = 0;
    return NANO_OK;
}

/* Of the last `window` bits, those that are set. */
static uint32_t votes_of(uint32_t bits, uint32_t window) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < window; i++, bits >>= 1)
        count += bits & 1u;
    return count;
}

nano_status nano_train_score(nano_train *head, const int8_t *features,
                             nano_train_opinion *opinion) {
    if (head == NULL || features == NULL || opinion == NULL)
        return NANO_ERR_ARGUMENT;
    const nano_train_alarm *const alarm = &head->record->alarm;
    if (head->config->anomaly == NANO_TRAIN_NO_ANOMALY ||
        (head->normal_sums != NULL ? head->record->learned < 2 : head->record->replay_used == 0))
        return NANO_ERR_STATE;
    opinion->score =
        head->normal_sums != NULL ? gaussian_score(head, features) : nearest(head, features, NULL);
    opinion->anomalous = opinion->score > alarm->threshold;
    head->votes = head->votes << 1 | opinion->anomalous;
    opinion->alarm = votes_of(head->votes, alarm->window) >= alarm->needed;
    return NANO_OK;
}

nano_status nano_train_set_alarm(nano_train *head, const nano_train_alarm *alarm) {
    if (head == NULL || alarm == NULL)
        return NANO_ERR_ARGUMENT;
    if (head->config->anomaly == NANO_TRAIN_NO_ANOMALY)
        return NANO_ERR_STATE;
    const nano_status status = nano_train_check_alarm(alarm);
    if (status == NANO_OK) {
        head->record->alarm = *alarm;
        head->votes = 0;
    }
    return status;
}

/* Move the element at `root` of a heap, the greatest first, down to its place. */
static void sift(uint32_t *heap, uint32_t count, uint32_t root) {
    const uint32_t moved = heap[root];
    for (uint32_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && heap[child + 1] > heap[child])
            child++;
        if (heap[child] <= moved)
            break;
        heap[root] = heap[child];
        root = child;
    }
    heap[root] = moved;
}

/* The element that is `place`-th, from 0, in ascending order. */
static uint32_t in_order(uint32_t *values, uint32_t count, uint32_t place) {
    for (uint32_t root = count / 2; root-- > 0;)
        sift(values, count, root);
    for (; count - 1 > place; count--) {
        values[0] = values[count - 1];
        sift(values, count - 1, 0);
    }
    return values[0];
}

nano_status nano_train_calibrate(nano_train *head, uint32_t *threshold) {
    if (head == NULL)
        return NANO_ERR_ARGUMENT;
    const uint32_t used = head->record->replay_used;
    if (head->recordings == NULL || used == 0)
        return NANO_ERR_STATE;
    for (uint32_t slot = 0; slot < used; slot++) {
        const int8_t *const x = head->replay_features + (size_t)slot * head->config->features;
        head->distances[slot] = nearest(head, x, &head->recordings[slot]);
        if (head->distances[slot] == UINT32_MAX)
            return NANO_ERR_STATE; /* there is but one recording */
    }
    nano_train_alarm *const alarm = &head->record->alarm;
    const uint32_t place = (used * alarm->quantile + 999) / 1000 - 1;
    const uint64_t scaled = nano_product(in_order(head->distances, used, place), alarm->margin);
    alarm->threshold =
        scaled < (uint64_t)1000 * (UINT32_MAX - 1) ? quotient(scaled, 1000, 32) : UINT32_MAX - 1;
    head->votes = 0;
    if (threshold != NULL)
        *threshold = alarm->threshold;
    return NANO_OK;
}
