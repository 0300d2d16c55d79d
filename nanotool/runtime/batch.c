/* batch.c - many inferences in one call, without Python in between. */
#include "batch.h"

#include <string.h>

#ifndef NANOTOOL_FINGERPRINT
#error "NANOTOOL_FINGERPRINT is the digest of the sources: see nanotool/runtime/build.py"
#endif

const char *nanotool_fingerprint(void) {
    return "nanotool-sources:" NANOTOOL_FINGERPRINT;
}

nano_status nanotool_run(nano_net *net, size_t count, const int8_t *in, int8_t *out) {
    const nano_model *model = net->model;
    for (size_t i = 0; i < count; i++) {
        memcpy(nano_input(net), in + i * model->input.size, model->input.size);
        const nano_status status = nano_run(net);
        if (status != NANO_OK)
            return status;
        memcpy(out + i * model->output.size, nano_output(net), model->output.size);
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

nano_status nanotool_run_all(nano_net *net, size_t count, const int8_t *in,
                             int8_t *const *results) {
    const nano_model *model = net->model;
    keeper k = {results, 0};
    nano_status status = NANO_OK;
    nano_observe(net, keep, &k);
    for (; k.sample < count && status == NANO_OK; k.sample++) {
        memcpy(nano_input(net), in + k.sample * model->input.size, model->input.size);
        status = nano_run(net);
    }
    nano_observe(net, NULL, NULL);
    return status;
}

const nano_train_arithmetic *nanotool_arithmetic(int bytes) {
    return bytes == 4 ? &nano_train_float32 : &nano_train_int16;
}
