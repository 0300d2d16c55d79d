/* input.c - the input buffer, and what makes the model's input of it. */
#include "input.h"

#include <string.h>

#include "app_model.h"
#include "nano/ops.h"

#if defined(APP_DB_FLOAT32)
#define DB_TYPE NANO_FLOAT32
#define DB_SIZE (APP_INPUT_SIZE * sizeof(float))
#elif defined(APP_DB_UINT8)
#define DB_TYPE NANO_UINT8
#define DB_SIZE APP_INPUT_SIZE
#else
#define DB_TYPE APP_MODEL.inputs[0].type
#define DB_SIZE APP_INPUT_SIZE
#endif

/* Seen under this name in the ELF. Aligned, because its bytes may be floats. */
static uint8_t app_input[DB_SIZE] NANO_ALIGNED;

static struct {
    uint32_t loaded; /* valid bytes of app_input */
    bool open;       /* a load is under way */
} state;

nano_type input_type(void) {
    return DB_TYPE;
}

uint32_t input_size(void) {
    return sizeof app_input;
}

bool input_fits(const nano_tensor *tensor) {
    return tensor->size == APP_INPUT_SIZE &&
           (tensor->type == NANO_INT8 || tensor->type == input_type());
}

const uint8_t *input_bytes(void) {
    return app_input;
}

uint32_t input_loaded(void) {
    return state.loaded;
}

bool input_whole(void) {
    return state.loaded == sizeof app_input;
}

bool input_open(void) {
    return state.open;
}

void input_begin(void) {
    state.loaded = 0;
    state.open = true;
}

void input_append(const uint8_t *bytes, uint32_t size) {
    memcpy(&app_input[state.loaded], bytes, size);
    state.loaded += size;
    state.open = !input_whole();
}

/* The library's own kernels: the same bytes as a model that begins with such an op. */
void input_copy(const nano_tensor *tensor, void *to) {
#if defined(APP_DB_FLOAT32)
    const nano_quantize_params params = {
        .scale = tensor->scale,
        .zero_point = (int16_t)tensor->zero_point,
        .size = tensor->size,
    };
    const nano_io io = {.in = {app_input}, .out = to};
    nano_quantize(&params, &io);
#elif defined(APP_DB_UINT8)
    const nano_flip_params params = {.size = tensor->size};
    const nano_io io = {.in = {app_input}, .out = to};
    nano_flip(&params, &io);
#else
    memcpy(to, app_input, tensor->size);
#endif
}
