/* decide.c - sums of the last scores, thresholds, hysteresis, refractory time.
 *
 * sum[c] = score[t][c] + ... + score[t - window + 1][c]. The twin is nanotool/stream/decide.py. */
#include "../bytes.h"
#include "nano/stream.h"

/* Is every class one of the outputs, and nothing 0 that must not be? */
static nano_status check(const nano_rule *rule, const nano_tensor *output) {
    if (rule->classes == NULL || rule->class_count == 0 || rule->window == 0 || rule->top == 0)
        return NANO_ERR_ARGUMENT;
    if (output->type != NANO_INT8 && output->type != NANO_UINT8)
        return NANO_ERR_SHAPE;
    for (uint16_t c = 0; c < rule->class_count; c++)
        if (rule->classes[c].index >= output->size)
            return NANO_ERR_SHAPE;
    return NANO_OK;
}

nano_status nano_decider_init(nano_decider *decider, const nano_rule *rule,
                              const nano_tensor *output, nano_arena *arena) {
    if (decider == NULL || rule == NULL || output == NULL || arena == NULL)
        return NANO_ERR_ARGUMENT;
    const nano_status status = check(rule, output);
    if (status != NANO_OK)
        return status;
    const size_t checkpoint = nano_arena_checkpoint(arena), n = rule->class_count;
    decider->rule = rule;
    decider->output = output;
    decider->made = (nano_decision *)nano_arena_alloc(arena, rule->top * sizeof(nano_decision), 4);
    decider->sums = (int32_t *)nano_arena_alloc(arena, n * sizeof(int32_t), 4);
    decider->silent = (uint16_t *)nano_arena_alloc(arena, n * sizeof(uint16_t), 2);
    decider->held = (uint8_t *)nano_arena_alloc(arena, n, 1);
    decider->scores = (uint8_t *)nano_arena_alloc(arena, n * rule->window, 1);
    if (decider->made == NULL || decider->sums == NULL || decider->silent == NULL ||
        decider->held == NULL || decider->scores == NULL) {
        (void)nano_arena_restore(arena, checkpoint);
        return NANO_ERR_MEMORY;
    }
    nano_decider_reset(decider);
    return NANO_OK;
}

void nano_decider_reset(nano_decider *decider) {
    for (uint16_t c = 0; c < decider->rule->class_count; c++) {
        decider->sums[c] = 0;
        decider->silent[c] = 0;
        decider->held[c] = 0;
    }
    decider->steps = 0;
    decider->made_count = 0;
    decider->oldest = 0;
}

/* Element `index` of the output, whose type it has; `byte` of a kept score. */
static int32_t value(const nano_decider *d, uint8_t byte) {
    return d->output->type == NANO_INT8 ? (int8_t)byte : byte;
}

/* What a kept byte counts. */
static int32_t score(const nano_decider *d, uint8_t byte) {
    return d->rule->vote ? byte : value(d, byte) - d->output->zero_point;
}

static uint32_t largest(const nano_decider *d, const uint8_t *output) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < d->output->size; i++)
        if (value(d, output[i]) > value(d, output[best]))
            best = i;
    return best;
}

/* The newest scores take the place of the oldest in ring and sums. */
static void add(nano_decider *d, const uint8_t *output) {
    const nano_rule *const rule = d->rule;
    uint8_t *const row = d->scores + (size_t)d->oldest * rule->class_count;
    const uint32_t winner = rule->vote ? largest(d, output) : 0;
    for (uint16_t c = 0; c < rule->class_count; c++) {
        const uint16_t index = rule->classes[c].index;
        if (d->steps >= rule->window)
            d->sums[c] -= score(d, row[c]);
        row[c] = rule->vote ? (uint8_t)(index == winner) : output[index];
        d->sums[c] += score(d, row[c]);
    }
    d->oldest = (uint16_t)(d->oldest + 1u < rule->window ? d->oldest + 1u : 0);
}

/* Could class `c` be decided for now? */
static int due(const nano_decider *d, uint16_t c) {
    return d->silent[c] == 0 && !d->held[c] && d->sums[c] > d->rule->classes[c].threshold;
}

/* The best class that is due; class_count: none is. */
static uint16_t best(const nano_decider *d) {
    uint16_t found = d->rule->class_count;
    for (uint16_t c = 0; c < d->rule->class_count; c++)
        if (due(d, c) && (found == d->rule->class_count || d->sums[c] > d->sums[found]))
            found = c;
    return found;
}

static void make(nano_decider *d, uint16_t c, uint32_t step) {
    const nano_class *const of = &d->rule->classes[c];
    nano_decision *const made = &d->made[d->made_count++];
    made->step = step;
    made->index = of->index;
    made->place = c;
    made->sum = d->sums[c];
    d->silent[c] = of->refractory;
    d->held[c] = 1; /* so that it is made once in this step */
}

size_t nano_decide(nano_decider *decider, const void *output) {
    const nano_rule *const rule = decider->rule;
    add(decider, (const uint8_t *)output);
    for (uint16_t c = 0; c < rule->class_count; c++) {
        if (decider->silent[c] > 0)
            decider->silent[c]--;
        if (decider->sums[c] <= rule->classes[c].release)
            decider->held[c] = 0;
    }
    const uint32_t step = decider->steps;
    if (decider->steps < UINT32_MAX)
        decider->steps++;
    decider->made_count = 0;
    if (decider->steps < rule->window || decider->steps <= rule->warm_up)
        return 0;
    uint16_t c;
    while (decider->made_count < rule->top && (c = best(decider)) < rule->class_count)
        make(decider, c, step);
    return decider->made_count;
}
