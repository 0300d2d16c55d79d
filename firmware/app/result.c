/* result.c - results as text, without printf. */
#include "result.h"

#include <string.h>

#include "chosen.h"
#include "format.h"
#include "inference.h"
#include "input.h"

/* Three decimals of a float32. A NaN's sign means nothing: it is left out. */
static void put_real(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value)
        bits &= INT32_MAX;
    put_decimal(bits, 1);
}

#if defined(APP_RESULT_MSE)

#if !defined(APP_DB_FLOAT32) || APP_OUTPUT_SIZE != APP_INPUT_SIZE
#error "A mean squared error needs a float32 input, and an output of as many elements."
#endif
#ifdef APP_SAVED_STATE_SIZE
#error "A mean squared error is of a model without states: a step that is tried has no output."
#endif

static float error;

/* error = 1/n Σ ((output[i] - zero_point) * scale - input[i])², in float32, from first to last;
 * each operation rounded by itself. */
void result_take(void) {
    const nano_tensor *const tensor = inference_output_tensor();
    const int8_t *const output = inference_output();
    const float *const input = (const float *)(const void *)input_bytes();
    float sum = 0.0f;
    for (uint32_t i = 0; i < tensor->size; i++) {
        const float real = (float)(output[i] - tensor->zero_point) * tensor->scale;
        const float difference = real - input[i];
        const float square = difference * difference;
        sum += square;
    }
    error = sum / (float)tensor->size;
}

void put_result(void) {
    put_open("m-results");
    put_real(error);
    put_close();
}

#else

void result_take(void) { /* the output stays in the arena until the next inference */
}

/* Puts element `index`: its real value; of int16 and int32 the number that it holds. */
static void put_element(const nano_tensor *tensor, const void *output, uint32_t index) {
    uint32_t scale_bits;
    memcpy(&scale_bits, &tensor->scale, sizeof scale_bits);
    switch (tensor->type) {
    case NANO_INT8:
        put_decimal(scale_bits, ((const int8_t *)output)[index] - tensor->zero_point);
        break;
    case NANO_UINT8:
        put_decimal(scale_bits, ((const uint8_t *)output)[index] - tensor->zero_point);
        break;
    case NANO_INT32:
        put_signed(((const int32_t *)output)[index]);
        put_text(".000");
        break;
    case NANO_FLOAT32:
        put_real(((const float *)output)[index]);
        break;
    case NANO_INT16:
        put_signed(((const int16_t *)output)[index]);
        put_text(".000");
        break;
    }
}

/* The elements of `tensor`, which lie at `output`. */
static void put_tensor(const nano_tensor *tensor, const void *output) {
    const int byte = tensor->type == NANO_INT8 || tensor->type == NANO_UINT8;
    const uint32_t width = byte ? 1 : tensor->type == NANO_INT16 ? 2 : 4;
    put_open("m-results");
    for (uint32_t i = 0; i < tensor->size / width; i++) {
        if (i > 0)
            put_text(",");
        put_element(tensor, output, i);
    }
    put_close();
}

#ifdef SEVERAL_OUTPUTS

void put_result_at(unsigned index) {
    put_tensor(inference_tensor_at(index), inference_output_at(index));
}

void put_result(void) {
    for (unsigned i = 0; i < OUTPUT_COUNT; i++)
        put_result_at(i);
}

#else

void put_result(void) {
    put_tensor(inference_output_tensor(), inference_output());
}

#endif

#endif
