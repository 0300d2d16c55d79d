/* values.c - real numbers to a model's and back; the largest outputs. */
#include "nano/values.h"

#include <stddef.h>

enum { MOST = 1 << 17 }; /* beyond every type that is saturated to */

/* A float's bits: of a normal one, mantissa * 2^(exponent - 150) without its sign. */
typedef struct {
    uint32_t mantissa;
    int exponent; /* 255: infinity or NaN */
    int negative;
} parts;

static parts split(float value) {
    const union {
        float real;
        uint32_t bits;
    } at = {value};
    const uint32_t fraction = at.bits & 0x7FFFFFu;
    const parts found = {fraction | 0x800000u, (int)(at.bits >> 23 & 0xFFu), (int)(at.bits >> 31)};
    return found;
}

/* real / scale to the nearest, halves away from zero, within -MOST..MOST. By long division: a float
 * quotient may be rounded up to a half that the true one does not reach, and a core without a
 * floating-point unit would take longer. A subnormal is less than half of any scale. */
static int32_t nearest(float real, float scale) {
    const parts a = split(real), b = split(scale);
    uint32_t rest = a.mantissa;
    int32_t whole = 0;
    if (a.exponent == 255 && a.mantissa != 0x800000u) /* NaN */
        return 0;
    const int shift = a.exponent - b.exponent;
    if (shift < -1 || a.exponent == 0) /* less than half a scale */
        return 0;
    if (shift > 16 || a.exponent == 255) {
        whole = MOST;
    } else {
        for (int i = 0; i <= shift; i++, rest *= 2) {
            whole *= 2;
            if (rest >= b.mantissa) {
                rest -= b.mantissa;
                whole++;
            }
        }
        whole += rest >= b.mantissa; /* twice the rest, against twice a half */
    }
    return a.negative ? -whole : whole;
}

static int32_t saturated(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

/* Element `i` of `tensor`, which lies at `base`, becomes `real`. */
static void put(const nano_tensor *tensor, void *base, uint32_t i, float real) {
    if (tensor->type == NANO_FLOAT32) {
        ((float *)base)[i] = real;
        return;
    }
    const int32_t q = nearest(real, tensor->scale) + tensor->zero_point;
    if (tensor->type == NANO_INT8)
        ((int8_t *)base)[i] = (int8_t)saturated(q, -128, 127);
    else if (tensor->type == NANO_UINT8)
        ((uint8_t *)base)[i] = (uint8_t)saturated(q, 0, 255);
    else
        ((int16_t *)base)[i] = (int16_t)saturated(q, -32768, 32767);
}

static uint32_t element_size(nano_type type) {
    return type == NANO_INT8 || type == NANO_UINT8 ? 1u : type == NANO_INT16 ? 2u : 4u;
}

nano_status nano_quantize_input(const nano_net *net, uint16_t index, const float *real) {
    if (net == NULL || net->model == NULL || real == NULL || index >= net->model->input_count)
        return NANO_ERR_ARGUMENT;
    const nano_tensor *const tensor = &net->model->inputs[index];
    if (tensor->type == NANO_INT32)
        return NANO_ERR_ARGUMENT;
    const uint32_t count = tensor->size / element_size(tensor->type);
    for (uint32_t i = 0; i < count; i++)
        put(tensor, net->base + tensor->offset, i, real[i]);
    return NANO_OK;
}

/* Element `i` of a tensor that is not of float32. */
static int32_t quantized(const nano_tensor *tensor, const void *base, uint32_t i) {
    switch (tensor->type) {
    case NANO_INT8:
        return ((const int8_t *)base)[i];
    case NANO_UINT8:
        return ((const uint8_t *)base)[i];
    case NANO_INT16:
        return ((const int16_t *)base)[i];
    default:
        return ((const int32_t *)base)[i];
    }
}

float nano_output_real(const nano_net *net, uint16_t index, uint32_t element) {
    if (net == NULL || net->model == NULL || index >= net->model->output_count)
        return 0.0f;
    const nano_tensor *const tensor = &net->model->outputs[index];
    if (element >= tensor->size / element_size(tensor->type))
        return 0.0f;
    const void *const base = net->base + tensor->offset;
    if (tensor->type == NANO_FLOAT32)
        return ((const float *)base)[element];
    return tensor->scale * (float)(quantized(tensor, base, element) - tensor->zero_point);
}

/* A float as a number that is ordered as floats are; NaN is below all. */
static int32_t ordered(float real) {
    const union {
        float real;
        int32_t bits;
    } at = {real == 0.0f ? 0.0f : real}; /* -0 is 0 */
    if (real != real)
        return INT32_MIN;
    return at.bits < 0 ? -(at.bits & INT32_MAX) : at.bits;
}

/* Whether element `i` is larger than element `other`, or as large and before it. */
static int leads(const nano_tensor *tensor, const void *base, uint32_t i, uint32_t other) {
    const int is_float = tensor->type == NANO_FLOAT32;
    const float *const reals = (const float *)base;
    const int32_t a = is_float ? ordered(reals[i]) : quantized(tensor, base, i);
    const int32_t b = is_float ? ordered(reals[other]) : quantized(tensor, base, other);
    return a > b || (a == b && i < other);
}

uint16_t nano_top_classes(const nano_net *net, uint16_t index, uint16_t *best, uint16_t count) {
    if (net == NULL || net->model == NULL || best == NULL || index >= net->model->output_count)
        return 0;
    const nano_tensor *const tensor = &net->model->outputs[index];
    const void *const base = net->base + tensor->offset;
    const uint32_t elements = tensor->size / element_size(tensor->type);
    uint16_t found = 0;
    for (; found < count && found < elements; found++) {
        uint32_t next = elements; /* the first of those behind the last one found */
        for (uint32_t i = 0; i < elements; i++) {
            if (found > 0 && !leads(tensor, base, best[found - 1], i))
                continue;
            if (next == elements || leads(tensor, base, i, next))
                next = i;
        }
        if (next > UINT16_MAX)
            break;
        best[found] = (uint16_t)next;
    }
    return found;
}
