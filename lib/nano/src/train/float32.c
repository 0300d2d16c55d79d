/* float32.c - the arithmetic of a head in float32. docs/training.md has the formulas. */
#include "work.h"

#include "real.h"

/* --- Start and forward -------------------------------------------------------------------------
 */

/* Uniform in +-1/sqrt(inputs): 24 random bits. */
static float uniform(uint32_t *random, float bound) {
    const int32_t bits = (int32_t)(nano_train_random(random) >> 8) - 0x800000;
    return (float)bits * 1.1920928955078125e-7f * bound; /* 2^-23 */
}

static void start(nano_train *head, uint16_t l) {
    const nano_train_place *const place = &head->layer[l];
    const nano_train_layer *const layer = &head->config->layers[l];
    const uint32_t active = nano_train_active(head, l), count = active * place->inputs;
    float *const weights = (float *)place->weights, *const bias = (float *)place->bias;
    const float *const given = (const float *)layer->weights;
    const float bound = 1.0f / nano_train_sqrtf((float)place->inputs);
    for (uint32_t i = 0; i < count; i++)
        weights[i] = given != NULL ? given[i] : uniform(&head->record->random, bound);
    for (uint32_t o = 0; o < active && layer->bias != NULL; o++)
        bias[o] = ((const float *)layer->bias)[o];
}

static float dot(const float *a, const float *b, uint32_t n) {
    float sum = 0.0f;
    for (uint32_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* value * scale as an integer, cut off, saturating (NaN: the lower end). */
static int32_t fixed(float value, float scale) {
    const float scaled = value * scale;
    if (!(scaled > -2147483648.0f))
        return -INT32_MAX;
    return scaled < 2147483520.0f ? (int32_t)scaled : INT32_MAX;
}

static void forward_layer(nano_train *head, uint32_t l) {
    const nano_train_place *const place = &head->layer[l];
    const float *w = (const float *)place->weights, *const bias = (const float *)place->bias;
    const uint32_t active = nano_train_active(head, l);
    float *const out = (float *)head->outputs;
    float low = 0.0f, high = 0.0f;
    for (uint32_t o = 0; o < active; o++) {
        const float y = dot(w, (const float *)place->input, place->inputs) + bias[o];
        out[o] = y;
        low = y < low ? y : low;
        high = y > high ? y : high;
        w += place->inputs;
    }
    nano_train_observe(place->range, fixed(low, 65536.0f));
    nano_train_observe(place->range, fixed(high, 65536.0f));
    if (l + 1 == head->config->layer_count)
        return;
    float *const next = (float *)head->layer[l + 1].input;
    for (uint32_t o = 0; o < active; o++)
        next[o] = out[o] > 0.0f ? out[o] : 0.0f;
}

static void forward(nano_train *head, const int8_t *features) {
    const nano_train_config *const config = head->config;
    float *const input = (float *)head->layer[0].input;
    for (uint32_t i = 0; i < config->features; i++)
        input[i] = config->feature_scale * (float)(features[i] - config->feature_zero_point);
    for (uint32_t l = 0; l < config->layer_count; l++)
        forward_layer(head, l);
}

static uint16_t best(const nano_train *head) {
    const float *const y = (const float *)head->outputs;
    uint32_t first = 0;
    for (uint32_t o = 1; o < head->record->classes; o++)
        if (y[o] > y[first])
            first = o;
    return (uint16_t)first;
}

/* --- Loss and backward -------------------------------------------------------------------------
 */

/* error = softmax - onehot; loss = log(sum exp(y - max)) + max - y[label] */
static float cross_entropy(nano_train *head, uint16_t label) {
    const float *const y = (const float *)head->outputs;
    float *const error = (float *)head->errors[0];
    const uint32_t classes = head->record->classes;
    const float max = y[best(head)];
    float sum = 0.0f;
    for (uint32_t o = 0; o < classes; o++)
        sum += error[o] = nano_train_expf(y[o] - max);
    for (uint32_t o = 0; o < classes; o++)
        error[o] /= sum;
    error[label] -= 1.0f;
    return nano_train_logf(sum) + (max - y[label]);
}

/* error = 2 (y - target) / classes; loss = mean (y - target)^2 */
static float squares(nano_train *head, uint16_t label, const float *target) {
    const float *const y = (const float *)head->outputs;
    float *const error = (float *)head->errors[0];
    const uint32_t classes = head->record->classes;
    float sum = 0.0f;
    for (uint32_t o = 0; o < classes; o++) {
        const float wanted = target != NULL ? target[o] : o == label ? 1.0f : 0.0f;
        const float distance = y[o] - wanted;
        sum += distance * distance;
        error[o] = 2.0f * distance / (float)classes;
    }
    return sum / (float)classes;
}

static int32_t loss(nano_train *head, uint16_t label, const float *target) {
    const float value = head->config->loss == NANO_TRAIN_MSE ? squares(head, label, target)
                                                             : cross_entropy(head, label);
    if (!(value < 2048.0f)) /* NaN, too: the head has diverged */
        return INT32_MAX;
    return fixed(value + 4.76837158203125e-7f, 1048576.0f); /* to nearest: half a unit more */
}

/* gradient += error * input; biases: += error */
static void accumulate(const nano_train_place *place, const float *error, uint32_t active) {
    const float *const input = (const float *)place->input;
    float *gradient = (float *)place->gradient, *const bias = gradient + nano_train_weights(place);
    for (uint32_t o = 0; o < active; o++) {
        for (uint32_t i = 0; i < place->inputs; i++)
            gradient[i] += error[o] * input[i];
        bias[o] += error[o];
        gradient += place->inputs;
    }
}

/* below[i] = sum_o w[o, i] error[o] where the ReLU below let through, else 0 */
static void pass_down(const nano_train_place *place, const float *error, uint32_t active,
                      float *below) {
    const float *const input = (const float *)place->input;
    const float *const weights = (const float *)place->weights;
    for (uint32_t i = 0; i < place->inputs; i++) {
        float sum = 0.0f;
        for (uint32_t o = 0; o < active; o++)
            sum += weights[(size_t)o * place->inputs + i] * error[o];
        below[i] = input[i] > 0.0f ? sum : 0.0f;
    }
}

static void backward(nano_train *head) {
    uint32_t turn = 0;
    for (uint32_t l = head->config->layer_count; l-- > 0; turn ^= 1u) {
        const float *const error = (const float *)head->errors[turn];
        const uint32_t active = nano_train_active(head, l);
        accumulate(&head->layer[l], error, active);
        if (l > 0)
            pass_down(&head->layer[l], error, active, (float *)head->errors[turn ^ 1u]);
    }
}

/* --- Step --------------------------------------------------------------------------------------
 */

/* What every parameter's update needs. */
typedef struct {
    float mean;                       /* of the sums to the clipped mean */
    float rate;                       /* of this step; Adam: over 1 - beta1^t */
    float decay;                      /* weight decay */
    float keep1, take1, keep2, take2; /* momentum, or Adam's betas and 1 - beta */
    float root, epsilon;              /* Adam: 1 / sqrt(1 - beta2^t) */
} update;

static float square_sum(const nano_train *head) {
    float total = 0.0f;
    for (uint32_t l = 0; l < head->config->layer_count; l++) {
        const nano_train_place *const place = &head->layer[l];
        const float *const g = (const float *)place->gradient;
        total += dot(g, g, nano_train_weights(place) + place->outputs);
    }
    return total;
}

static update prepare(const nano_train *head) {
    const nano_train_recipe *const r = &head->recipe;
    const uint32_t factor = nano_train_rate_factor(r, head->record->steps);
    update u = {1.0f / (float)head->pending,
                r->rate * ((float)factor * 4.656612873077393e-10f),
                r->weight_decay,
                r->momentum,
                1.0f,
                0.0f,
                0.0f,
                0.0f,
                0.0f};
    if (r->clip > 0.0f) {
        const float limit = r->clip / (nano_train_sqrtf(square_sum(head)) * u.mean + 1e-6f);
        u.mean *= limit < 1.0f ? limit : 1.0f;
    }
    if (head->config->optimizer == NANO_TRAIN_ADAM) {
        const unsigned long t = head->record->steps + 1ul;
        u.keep1 = r->beta1;
        u.take1 = 1.0f - r->beta1;
        u.keep2 = r->beta2;
        u.take2 = 1.0f - r->beta2;
        u.rate /= 1.0f - nano_train_powf(r->beta1, t);
        u.root = 1.0f / nano_train_sqrtf(1.0f - nano_train_powf(r->beta2, t));
        u.epsilon = r->epsilon;
    }
    return u;
}

/* The parts of the same parameters: values, gradients, moments (NULL if there are none). */
typedef struct {
    float *w, *g, *m, *v;
    uint32_t count;
} run;

static void step_plain(const update *u, const run *r) {
    for (uint32_t i = 0; i < r->count; i++) {
        float g = r->g[i] * u->mean + u->decay * r->w[i];
        r->g[i] = 0.0f;
        if (r->m != NULL)
            g = r->m[i] = u->keep1 * r->m[i] + u->take1 * g;
        r->w[i] -= u->rate * g;
    }
}

/* Adam always has both moments: NOLINTBEGIN(*NullDereference) */
static void step_adam(const update *u, const run *r) {
    for (uint32_t i = 0; i < r->count; i++) {
        const float g = r->g[i] * u->mean + u->decay * r->w[i];
        r->g[i] = 0.0f;
        r->m[i] = u->keep1 * r->m[i] + u->take1 * g;
        r->v[i] = u->keep2 * r->v[i] + u->take2 * g * g;
        r->w[i] -= u->rate * r->m[i] / (nano_train_sqrtf(r->v[i]) * u->root + u->epsilon);
    }
}
/* NOLINTEND(*NullDereference) */

/* A moment, NULL if there is none. */
static float *at(void *base, uint32_t index) {
    return base == NULL ? NULL : (float *)base + index;
}

static void step(nano_train *head) {
    const update u = prepare(head);
    void (*const one)(const update *, const run *) =
        head->config->optimizer == NANO_TRAIN_ADAM ? step_adam : step_plain;
    for (uint32_t l = 0; l < head->config->layer_count; l++) {
        const nano_train_place *const p = &head->layer[l];
        const uint32_t active = nano_train_active(head, l), behind = nano_train_weights(p);
        float *const gradient = (float *)p->gradient;
        const run weights = {(float *)p->weights, gradient, at(p->moment[0], 0),
                             at(p->moment[1], 0), active * p->inputs};
        const run biases = {(float *)p->bias, gradient + behind, at(p->moment[0], behind),
                            at(p->moment[1], behind), active};
        one(&u, &weights);
        one(&u, &biases);
    }
}

/* --- What others ask ---------------------------------------------------------------------------
 */

static nano_train_number number(float value) {
    const uint32_t bits = nano_train_float_bits(value), field = bits >> 23 & 0xFFu;
    const nano_train_number result = {field == 0 ? 0u : (bits & 0x007FFFFFu) | 0x00800000u,
                                      (int32_t)field - 150, bits >> 31 != 0};
    return result; /* subnormal numbers count as 0 */
}

static nano_train_number weight(const nano_train_place *place, uint8_t bits, uint32_t i) {
    (void)bits;
    return number(((const float *)place->weights)[i]);
}

static nano_train_number bias(const nano_train_place *place, uint32_t i) {
    return number(((const float *)place->bias)[i]);
}

const nano_train_arithmetic nano_train_float32 = {sizeof(float), 2,        start, forward, best,
                                                  loss,          backward, step,  weight,  bias};
