/* inference.c - the model that the build chose (app_model.h), its memory and its state. */
#include "inference.h"

#include "app_model.h"
#include "board.h"
#include "input.h"

#ifndef APP_PROFILE
#define APP_PROFILE APP_MODEL.name
#endif

/* Seen under this name in the ELF. */
static uint8_t app_arena[APP_ARENA_SIZE] NANO_ALIGNED;

static struct {
    nano_net net;
    nano_status status;
    bool answered; /* the arena holds an output */
    bool within;   /* between inference_run_to() and inference_finish() */
} state;

nano_status inference_init(void) {
    nano_arena arena; /* the net keeps only what it took */
    state.status = nano_arena_init(&arena, app_arena, sizeof app_arena);
    if (state.status == NANO_OK)
        state.status = nano_init(&state.net, &APP_MODEL, &arena);
    if (state.status == NANO_OK && !input_fits(&APP_MODEL.input))
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

const char *inference_profile(void) {
    return APP_PROFILE;
}

static void copy_in(void) {
    nano_rewind(&state.net);
    input_copy(&APP_MODEL.input, nano_input(&state.net));
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
