/* batch.c - many inferences in one call, without Python in between. */
#include "batch.h"

#include <string.h>

#ifndef NANOTOOL_FINGERPRINT
#error "NANOTOOL_FINGERPRINT is the digest of the sources: see nanotool/runtime/build.py"
#endif

const char *nanotool_fingerprint(void) {
    return "nanotool-sources:" NANOTOOL_FINGERPRINT;
}

/* Begin anew where a sequence ends, and write the inputs of inference `number`. */
static void begin(nano_net *net, size_t reset_every, size_t *done, const int8_t *const *in,
                  size_t number) {
    const nano_model *const model = net->model;
    if (reset_every != 0 && *done % reset_every == 0)
        nano_reset(net);
    ++*done;
    for (uint16_t i = 0; i < model->input_count; i++) {
        const size_t size = model->inputs[i].size;
        memcpy(nano_input_at(net, i), in[i] + number * size, size);
    }
}

nano_status nanotool_run(nano_net *net, size_t count, size_t reset_every, size_t *done,
                         const int8_t *const *in, int8_t *const *out) {
    const nano_model *const model = net->model;
    for (size_t number = 0; number < count; number++) {
        begin(net, reset_every, done, in, number);
        const nano_status status = nano_run(net);
        if (status != NANO_OK)
            return status;
        for (uint16_t i = 0; i < model->output_count; i++) {
            const size_t size = model->outputs[i].size;
            memcpy(out[i] + number * size, nano_output_at(net, i), size);
        }
    }
    return NANO_OK;
}

typedef struct {
    int8_t *const *results;
    size_t sample;
} keeper;

static void keep(void *user, const nano_net *net, uint16_t op, nano_event event) {
    const keeper *const k = (const keeper *)user;
    if (event != NANO_OP_END)
        return;
    const size_t size = net->model->ops[op].out_size;
    memcpy(k->results[op] + k->sample * size, nano_op_output(net, op), size);
}

nano_status nanotool_run_all(nano_net *net, size_t count, size_t reset_every, size_t *done,
                             const int8_t *const *in, int8_t *const *results) {
    keeper k = {results, 0};
    nano_status status = NANO_OK;
    nano_observe(net, keep, &k);
    for (; k.sample < count && status == NANO_OK; k.sample++) {
        begin(net, reset_every, done, in, k.sample);
        status = nano_run(net);
    }
    nano_observe(net, NULL, NULL);
    return status;
}

const nano_train_arithmetic *nanotool_arithmetic(int bytes) {
    return bytes == 4 ? &nano_train_float32 : &nano_train_int16;
}
