/* inference.c - the model that the build or the console chose, its memory and its state. */
#include "inference.h"

#include <stddef.h>
#include <string.h>

#include "board.h"
#include "chosen.h"
#include "head.h"
#include "input.h"
#include "parse.h"

#if defined(APP_TRAIN) && APP_OUTPUT_COUNT > 1
#error "A head learns from the features of a model with one output."
#endif

#ifndef APP_PROFILE
#define APP_PROFILE APP_MODEL.name
#endif

/* Seen under this name in the ELF. */
#ifdef APP_STREAM
static uint8_t app_arena[APP_STREAM_ARENA_SIZE] NANO_ALIGNED;
#define NET (&state.stream.net)
#else
static uint8_t app_arena[APP_ARENA_SIZE] NANO_ALIGNED;
#define NET (&state.net)
#endif

static struct {
#ifdef APP_STREAM
    nano_stream stream; /* its net is the net */
    uint32_t samples, decisions, ticks;
    bool streaming; /* since inference_stream_begin() nothing else has run */
#else
    nano_net net;
#endif
    nano_status status;
    const int8_t *output; /* of the newest inference; NULL: there was none */
    bool within;          /* between inference_run_to() and inference_finish() */
} state;

static nano_status make_ready(nano_arena *arena) {
#ifdef APP_STREAM
    if (inference_listens())
        return nano_stream_init(&state.stream, &APP_STREAM, arena);
#endif
    return nano_init(NET, &APP_MODEL, arena);
}

static nano_status start(void) {
    nano_arena arena; /* the net keeps only what it took */
    state.status = nano_arena_init(&arena, app_arena, sizeof app_arena);
    if (state.status == NANO_OK)
        state.status = make_ready(&arena);
    if (state.status == NANO_OK && !input_fits(&APP_MODEL))
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

#ifdef APP_STREAM

bool inference_listens(void) {
#ifdef APP_MODEL_COUNT
    return chosen_stream() != NULL;
#else
    return true;
#endif
}

#endif

static void end_stream(void) {
#ifdef APP_STREAM
    state.streaming = false;
#endif
}

#ifdef APP_SAVED_STATE_SIZE

/* Seen under this name in the ELF. */
static uint8_t app_saved_state[APP_SAVED_STATE_SIZE] NANO_ALIGNED;
static uint32_t put_done = APP_SAVED_STATE_SIZE;

const uint8_t *inference_state(void) {
    put_done = SAVED_STATE_SIZE;
    (void)nano_save_state(NET, app_saved_state, sizeof app_saved_state); /* large enough */
    return app_saved_state;
}

static void begin_try(void) {
    if (SAVED_STATE_SIZE != 0)
        (void)inference_state();
}

/* An output may lie in a state's room: it is none from here on. */
static void end_try(void) {
    if (SAVED_STATE_SIZE == 0)
        return;
    (void)nano_load_state(NET, app_saved_state, SAVED_STATE_SIZE); /* was saved */
    state.output = NULL;
}

void inference_reset(void) {
    end_stream();
    nano_reset(NET);
    state.output = NULL;
}

void inference_begin_put(void) {
    put_done = 0;
}

uint32_t inference_put_done(void) {
    return put_done;
}

nano_status inference_put(const uint8_t *bytes, uint32_t size) {
    memcpy(&app_saved_state[put_done], bytes, size);
    put_done += size;
    if (put_done < SAVED_STATE_SIZE)
        return NANO_MORE;
    const nano_status status = nano_load_state(NET, app_saved_state, SAVED_STATE_SIZE);
    if (status == NANO_OK) {
        end_stream();
        state.output = NULL;
    }
    return status;
}

#else

static void begin_try(void) { /* a run changes nothing that the next one reads */
}

static void end_try(void) {
}

#endif

#ifdef APP_MODEL_COUNT

nano_status inference_choose(unsigned number) {
    chosen_set(number);
    end_stream();
    input_clear();
    state.output = NULL;
#ifdef APP_SAVED_STATE_SIZE
    put_done = SAVED_STATE_SIZE;
#endif
    return start();
}

nano_status inference_init(void) {
    return inference_choose(0);
}

#else

nano_status inference_init(void) {
    return start();
}

#endif

static void copy_in(void) {
    end_stream();
    nano_rewind(NET);
    input_copy(NET);
}

/* What remains of the model, and the head. */
static void complete(void) {
    (void)nano_run(NET); /* refuses only a net that was never made ready */
    state.output = head_run(nano_output(NET));
}

void inference_run(void) {
    copy_in();
    complete();
}

void inference_warm_up(uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        begin_try();
        inference_run();
        end_try();
    }
}

uint32_t inference_time(void) {
    begin_try();
    copy_in();
    const uint32_t begin = board_ticks();
    complete();
    const uint32_t end = board_ticks();
    end_try();
    return end - begin;
}

void inference_watch(nano_observer observer, void *user) {
    begin_try();
    nano_observe(NET, observer, user);
    inference_run();
    nano_observe(NET, NULL, NULL);
    end_try();
}

const int8_t *inference_run_to(uint16_t last) {
    begin_try();
    copy_in();
    state.within = true;
    for (uint16_t op = 0; op <= last; op++)
        state.within = nano_step(NET) == NANO_MORE;
    return nano_op_output(NET, last);
}

/* Where op `last` was the last one, nano_run() would begin anew. */
void inference_finish(void) {
    if (state.within)
        complete();
    else
        state.output = head_run(nano_output(NET));
    state.within = false;
    end_try();
}

const int8_t *inference_output(void) {
    return head_unchanged() ? state.output : NULL;
}

const int8_t *inference_features(void) {
    copy_in();
    (void)nano_run(NET);
    state.output = NULL;
    return nano_output(NET);
}

#ifdef SEVERAL_OUTPUTS

const int8_t *inference_output_at(unsigned index) {
    return state.output != NULL ? nano_output_at(NET, (uint16_t)index) : NULL;
}

const nano_tensor *inference_tensor_at(unsigned index) {
    return &APP_MODEL.outputs[index];
}

#endif

#if defined(SEVERAL_INPUTS) || defined(SEVERAL_OUTPUTS)

bool inference_find(const nano_tensor *tensors, uint16_t count, const char *word, uint16_t *index) {
    uint32_t number = count;
    if (!parse_unsigned(word, count - 1u, &number)) {
        number = 0;
        while (number < count &&
               (tensors[number].name == NULL || !same_text(tensors[number].name, word)))
            number++;
    }
    *index = (uint16_t)number;
    return number < count;
}

#endif

#ifdef APP_STREAM

void inference_stream_begin(void) {
    nano_stream_reset(&state.stream);
    state.samples = state.decisions = state.ticks = 0;
    state.output = NULL;
    state.streaming = true;
}

bool inference_streaming(void) {
    return state.streaming;
}

const nano_stream *inference_stream(void) {
    return &state.stream;
}

void inference_stream_count(uint32_t *samples, uint32_t *decisions, uint32_t *ticks) {
    *samples = state.samples;
    *decisions = state.decisions;
    *ticks = state.ticks;
}

void inference_stream_feed(const int16_t *samples, uint32_t n) {
    const uint32_t steps = state.stream.decider.steps, begin = board_ticks();
    const size_t decisions = nano_stream_feed(&state.stream, samples, n);
    state.ticks += board_ticks() - begin;
    state.samples += n;
    state.decisions += (uint32_t)decisions;
    if (state.stream.decider.steps != steps)
        state.output = nano_output(NET);
}

#endif
