/* inference.c - the model that the build chose (app_model.h), its memory and its state. */
#include "inference.h"

#include <string.h>

#include "app_model.h"
#include "board.h"

/* nanotool looks these two up by name in the ELF: what is neither of them nor stack is overhead. */
static uint8_t app_arena[APP_ARENA_SIZE] NANO_ALIGNED;
static uint8_t app_input[APP_INPUT_SIZE];

static struct {
    nano_net net;
    nano_status status;
    uint32_t loaded; /* valid bytes of app_input */
    bool open;       /* a load is under way */
    bool answered;   /* the arena holds an output */
    bool within;     /* between inference_run_to() and inference_finish() */
} state;

nano_status inference_init(void) {
    nano_arena arena; /* the net keeps only what it took */
    state.status = nano_arena_init(&arena, app_arena, sizeof app_arena);
    if (state.status == NANO_OK)
        state.status = nano_init(&state.net, &APP_MODEL, &arena);
    if (state.status == NANO_OK && APP_MODEL.input.size != sizeof app_input)
        state.status = NANO_ERR_SHAPE;
    return state.status;
}

nano_status inference_status(void) {
    return state.status;
}

const nano_model *inference_model(void) {
    return &APP_MODEL;
}

uint32_t inference_arena_size(void) {
    return sizeof app_arena;
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

static void copy_in(void) {
    nano_rewind(&state.net);
    memcpy(nano_input(&state.net), app_input, sizeof app_input);
}

void inference_run(void) {
    copy_in();
    (void)nano_run(&state.net); /* refuses only a net that was never made ready */
    state.answered = true;
}

uint32_t inference_time(void) {
    copy_in();
    const uint32_t begin = board_ticks();
    (void)nano_run(&state.net);
    const uint32_t end = board_ticks();
    state.answered = true;
    return end - begin;
}

void inference_watch(nano_observer observer, void *user) {
    nano_observe(&state.net, observer, user);
    inference_run();
    nano_observe(&state.net, NULL, NULL);
}

const int8_t *inference_run_to(uint16_t last) {
    copy_in();
    state.within = true;
    for (uint16_t op = 0; op <= last; op++)
        state.within = nano_step(&state.net) == NANO_MORE;
    return nano_op_output(&state.net, last);
}

void inference_finish(void) {
    if (state.within)
        (void)nano_run(&state.net);
    state.within = false;
    state.answered = true;
}

const int8_t *inference_output(void) {
    return state.answered ? nano_output(&state.net) : NULL;
}
