/* chosen.c - see chosen.h. */
#include "chosen.h"

#ifdef APP_MODEL_COUNT

#include <stddef.h>

#ifdef APP_TRAIN
#error "A head learns behind the only model of a firmware."
#endif

static const nano_model *const models[APP_MODEL_COUNT] = {APP_MODELS};
static unsigned chosen;

const nano_model *chosen_at(unsigned number) {
    return models[number];
}

const nano_model *chosen_model(void) {
    return models[chosen];
}

unsigned chosen_number(void) {
    return chosen;
}

void chosen_set(unsigned number) {
    chosen = number;
}

uint32_t chosen_state_size(void) {
#ifdef APP_STATE_SIZES
    static const uint32_t sizes[APP_MODEL_COUNT] = {APP_STATE_SIZES};
    return sizes[chosen];
#else
    return 0;
#endif
}

#ifdef APP_STREAMS

const nano_stream_params *chosen_stream(void) {
    static const nano_stream_params *const streams[APP_MODEL_COUNT] = {APP_STREAMS};
    return streams[chosen];
}

uint32_t chosen_sample_rate(void) {
    static const uint32_t rates[APP_MODEL_COUNT] = {APP_SAMPLE_RATES};
    return rates[chosen];
}

#endif
#endif
