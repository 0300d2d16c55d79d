/* inference.c - the model that the build chose (app_model.h), its memory and its state. */
#include "inference.h"

#include <stddef.h>

#include "app_model.h"
#include "board.h"
#include "head.h"
#include "input.h"

#ifndef APP_PROFILE
#define APP_PROFILE APP_MODEL.name
#endif

/* Seen under this name in the ELF. */
static uint8_t app_arena[APP_ARENA_SIZE] NANO_ALIGNED;

#ifdef APP_SAVED_STATE_SIZE
static uint8_t app_saved_state[APP_SAVED_STATE_SIZE] NANO_ALIGNED;
#endif

static struct {
    nano_net net;
    nano_status status;
    const int8_t *output; /* of the newest inference; NULL: there was none */
    bool within;          /* between inference_run_to() and inference_finish() */
} state;

nano_status inference_init(void) {
    nano_arena arena; /* the net keeps only what it took */
    state.status = nano_arena_init(&arena, app_arena, sizeof app_arena);
    if (state.status == NANO_OK)
        state.status = nano_init(&state.net, &APP_MODEL, &arena);
    if (state.status == NANO_OK && (APP_MODEL.input_count != 1 || APP_MODEL.output_count != 1))
        state.status = NANO_ERR_SHAPE; /* the console speaks of one input and one output */
    if (state.status == NANO_OK && !input_fits(&APP_MODEL.inputs[0]))
        state.status = NANO_ERR_SHAPE;
    if (state.status == NANO_OK)
        state.status = head_init();
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

const char *inference_profile(void) {
    return APP_PROFILE;
}

const nano_tensor *inference_output_tensor(void) {
    return head_output_tensor(&APP_MODEL.outputs[0]);
}

bool inference_prepare(void) {
    return head_prepare();
}

static void copy_in(void) {
    nano_rewind(&state.net);
    input_copy(&APP_MODEL.inputs[0], nano_input(&state.net));
}

/* What remains of the model, and the head. */
static void complete(void) {
    (void)nano_run(&state.net); /* refuses only a net that was never made ready */
    state.output = head_run(nano_output(&state.net));
}

void inference_run(void) {
    copy_in();
    complete();
}

uint32_t inference_time(void) {
    copy_in();
    const uint32_t begin = board_ticks();
    complete();
    const uint32_t end = board_ticks();
    return end - begin;
}

void inference_watch(nano_observer observer, void *user) {
    nano_observe(&state.net, observer, user);
    inference_run();
    nano_observe(&state.net, NULL, NULL);
}

void inference_keep_states(void) {
#ifdef APP_SAVED_STATE_SIZE
    (void)nano_save_state(&state.net, app_saved_state, sizeof app_saved_state);
#endif
}

void inference_restore_states(void) {
#ifdef APP_SAVED_STATE_SIZE
    (void)nano_load_state(&state.net, app_saved_state, sizeof app_saved_state);
#endif
}

const int8_t *inference_run_to(uint16_t last) {
    copy_in();
    state.within = true;
    for (uint16_t op = 0; op <= last; op++)
        state.within = nano_step(&state.net) == NANO_MORE;
    return nano_op_output(&state.net, last);
}

/* Where op `last` was the last one, nano_run() would begin anew. */
void inference_finish(void) {
    if (state.within)
        complete();
    else
        state.output = head_run(nano_output(&state.net));
    state.within = false;
}

const int8_t *inference_output(void) {
    return head_unchanged() ? state.output : NULL;
}

const int8_t *inference_features(void) {
    copy_in();
    (void)nano_run(&state.net);
    state.output = NULL;
    return nano_output(&state.net);
}
