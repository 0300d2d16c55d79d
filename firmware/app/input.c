/* input.c - the input buffer, and what makes the model's inputs of it. */
#include "input.h"

#include <string.h>

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
    uint32_t next; /* where the next byte belongs */
#ifdef SEVERAL_INPUTS
    uint32_t end; /* of the load */
    uint32_t loaded[APP_INPUT_COUNT];
#endif
    bool open; /* a load is under way */
} state;

void input_clear(void) {
    memset(&state, 0, sizeof state);
}

nano_type input_type(void) {
    return DB_TYPE;
}

uint32_t input_size(void) {
#ifdef APP_MODEL_COUNT
    return input_offset(INPUT_COUNT);
#else
    return sizeof app_input;
#endif
}

uint32_t input_room(void) {
    return sizeof app_input;
}

const uint8_t *input_bytes(void) {
    return app_input;
}

bool input_open(void) {
    return state.open;
}

#ifdef SEVERAL_INPUTS

uint32_t input_next(void) {
    return state.next;
}

bool input_fits(const nano_model *model) {
    return model->input_count == INPUT_COUNT && model->input_count <= APP_INPUT_COUNT &&
           input_offset(INPUT_COUNT) == input_size() && input_size() <= sizeof app_input;
}

uint32_t input_offset(unsigned index) {
    uint32_t offset = 0;
    for (unsigned i = 0; i < index; i++)
        offset += APP_MODEL.inputs[i].size;
    return offset;
}

uint32_t input_part(unsigned index) {
    return state.loaded[index];
}

uint32_t input_loaded(void) {
    uint32_t loaded = 0;
    for (unsigned i = 0; i < INPUT_COUNT; i++)
        loaded += state.loaded[i];
    return loaded;
}

bool input_whole(void) {
    return input_loaded() == input_size();
}

uint32_t input_from(uint32_t offset) {
    for (unsigned i = 0; i < INPUT_COUNT; i++) {
        if (input_offset(i) == offset)
            return input_offset(i + 1u);
    }
    return 0;
}

uint32_t input_end(void) {
    return state.end;
}

void input_begin(uint32_t offset, uint32_t end) {
    for (unsigned i = 0; i < INPUT_COUNT; i++) {
        if (input_offset(i) >= offset && input_offset(i) < end)
            state.loaded[i] = 0;
    }
    state.next = offset;
    state.end = end;
    state.open = true;
}

void input_append(const uint8_t *bytes, uint32_t size) {
    const uint32_t from = state.next;
    memcpy(&app_input[from], bytes, size);
    state.next += size;
    state.open = state.next < state.end;
    for (unsigned i = 0; i < INPUT_COUNT; i++) {
        const uint32_t begin = input_offset(i), end = input_offset(i + 1u);
        if (from < end && state.next > begin)
            state.loaded[i] = (state.next < end ? state.next : end) - begin;
    }
}

void input_copy(const nano_net *net) {
    for (unsigned i = 0; i < INPUT_COUNT; i++)
        memcpy(nano_input_at(net, (uint16_t)i), &app_input[input_offset(i)],
               APP_MODEL.inputs[i].size);
}

#else

bool input_fits(const nano_model *model) {
    const nano_tensor *const tensor = &model->inputs[0];
    return tensor->size == APP_INPUT_SIZE &&
           (tensor->type == NANO_INT8 || tensor->type == input_type());
}

uint32_t input_loaded(void) {
    return state.next;
}

bool input_whole(void) {
    return state.next == sizeof app_input;
}

void input_begin(uint32_t offset, uint32_t end) {
    (void)end;
    state.next = offset;
    state.open = true;
}

void input_append(const uint8_t *bytes, uint32_t size) {
    memcpy(&app_input[state.next], bytes, size);
    state.next += size;
    state.open = !input_whole();
}

/* The library's own kernels: the same bytes as a model that begins with such an op. */
void input_copy(const nano_net *net) {
    const nano_tensor *const tensor = &APP_MODEL.inputs[0];
    void *const to = nano_input(net);
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

#endif
