/* model.c - runs a model's ops, in order, in its room in the arena. */
#include "nano/model.h"

#include "bytes.h"

/* Does `tensor` lie wholly inside the model's room? */
static int inside(const nano_model *model, const nano_tensor *tensor) {
    return tensor->size <= model->arena_size && tensor->offset <= model->arena_size - tensor->size;
}

/* Is there an input and an output, and does all that is at the model's border lie in its room? */
static int whole(const nano_model *model) {
    if ((model->ops == NULL && model->op_count != 0) || model->inputs == NULL ||
        model->outputs == NULL || model->input_count == 0 || model->output_count == 0 ||
        (model->states == NULL && model->state_count != 0))
        return 0;
    for (uint16_t i = 0; i < model->input_count; i++)
        if (!inside(model, &model->inputs[i]))
            return 0;
    for (uint16_t i = 0; i < model->output_count; i++)
        if (!inside(model, &model->outputs[i]))
            return 0;
    for (uint16_t i = 0; i < model->state_count; i++)
        if (!inside(model, &model->states[i].tensor))
            return 0;
    return 1;
}

nano_status nano_init(nano_net *net, const nano_model *model, nano_arena *arena) {
    if (net == NULL || model == NULL || arena == NULL)
        return NANO_ERR_ARGUMENT;
    if (model->abi != NANO_ABI)
        return NANO_ERR_ABI; /* before anything whose meaning may have changed is read */
    if (!whole(model))
        return NANO_ERR_ARGUMENT;
    uint8_t *const base = (uint8_t *)nano_arena_alloc(arena, model->arena_size, NANO_ALIGN);
    if (base == NULL)
        return NANO_ERR_MEMORY;
    net->model = model;
    net->base = base;
    net->observer = NULL;
    net->observer_user = NULL;
    nano_reset(net);
    return NANO_OK;
}

void nano_reset(nano_net *net) {
    for (uint16_t i = 0; i < net->model->state_count; i++) {
        const nano_state *const state = &net->model->states[i];
        uint8_t *const bytes = net->base + state->tensor.offset;
        if (state->initial == NULL)
            nano_fill_bytes(bytes, state->fill, state->tensor.size);
        else
            nano_copy_bytes(bytes, state->initial, state->tensor.size);
    }
    net->next = 0;
}

int8_t *nano_input(const nano_net *net) {
    return (int8_t *)(net->base + net->model->inputs[0].offset);
}

const int8_t *nano_output(const nano_net *net) {
    return (const int8_t *)(net->base + net->model->outputs[0].offset);
}

int8_t *nano_input_at(const nano_net *net, uint16_t index) {
    const nano_model *const model = net->model;
    return index < model->input_count ? (int8_t *)(net->base + model->inputs[index].offset) : NULL;
}

const int8_t *nano_output_at(const nano_net *net, uint16_t index) {
    const nano_model *const model = net->model;
    if (index >= model->output_count)
        return NULL;
    return (const int8_t *)(net->base + model->outputs[index].offset);
}

void *nano_state_at(const nano_net *net, uint16_t index) {
    const nano_model *const model = net->model;
    return index < model->state_count ? net->base + model->states[index].tensor.offset : NULL;
}

/* The address of an arena offset; NULL for NANO_NONE. */
static void *at(const nano_net *net, uint32_t offset) {
    return offset == NANO_NONE ? NULL : net->base + offset;
}

static void run_op(const nano_net *net, uint16_t index) {
    const nano_op *const op = &net->model->ops[index];
    nano_io io;
    for (int i = 0; i < NANO_MAX_INPUTS; i++)
        io.in[i] = at(net, op->in[i]);
    io.out = at(net, op->out);
    io.scratch = at(net, op->scratch);
    if (net->observer != NULL)
        net->observer(net->observer_user, net, index, NANO_OP_BEGIN);
    op->run(op->params, &io);
    if (net->observer != NULL)
        net->observer(net->observer_user, net, index, NANO_OP_END);
}

nano_status nano_step(nano_net *net) {
    if (net == NULL || net->model == NULL)
        return NANO_ERR_ARGUMENT;
    if (net->next < net->model->op_count) {
        run_op(net, net->next);
        net->next++;
    }
    if (net->next < net->model->op_count)
        return NANO_MORE;
    net->next = 0;
    return NANO_OK;
}

nano_status nano_run(nano_net *net) {
    nano_status status;
    do {
        status = nano_step(net);
    } while (status == NANO_MORE);
    return status;
}

void nano_rewind(nano_net *net) {
    net->next = 0;
}

void nano_observe(nano_net *net, nano_observer observer, void *user) {
    net->observer = observer;
    net->observer_user = user;
}

const int8_t *nano_op_output(const nano_net *net, uint16_t op) {
    if (op >= net->model->op_count)
        return NULL;
    return (const int8_t *)(net->base + net->model->ops[op].out);
}
