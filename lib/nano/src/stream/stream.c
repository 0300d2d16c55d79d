/* stream.c - samples to features, features to steps, outputs to decisions. */
#include "nano/stream.h"

#include "../bytes.h"
#include "ring.h"

/* Does the model take `frames` frames of `features` in a type that features can become? */
static nano_status check(const nano_stream_params *p) {
    if (p->model == NULL || p->front_end == NULL || p->rule == NULL || p->divisor < 1 ||
        p->hop == 0 || p->hop > p->frames)
        return NANO_ERR_ARGUMENT;
    if (p->model->abi != NANO_ABI)
        return NANO_ERR_ABI;
    if (p->model->inputs == NULL || p->model->outputs == NULL)
        return NANO_ERR_ARGUMENT;
    const nano_tensor *const input = &p->model->inputs[0];
    const int bytes = input->type == NANO_INT8 || input->type == NANO_UINT8;
    const uint32_t size = (uint32_t)p->frames * p->features;
    return bytes && p->model->input_count == 1 && input->size == size ? NANO_OK : NANO_ERR_SHAPE;
}

nano_status nano_stream_init(nano_stream *stream, const nano_stream_params *params,
                             nano_arena *arena) {
    if (stream == NULL || params == NULL || arena == NULL)
        return NANO_ERR_ARGUMENT;
    nano_status status = check(params);
    if (status != NANO_OK)
        return status;
    const size_t checkpoint = nano_arena_checkpoint(arena);
    const uint16_t n = params->features;
    stream->params = params;
    stream->listener = NULL;
    stream->user = NULL;
    status = nano_init(&stream->net, params->model, arena);
    if (status == NANO_OK)
        status = nano_decider_init(&stream->decider, params->rule, params->model->outputs, arena);
    if (status == NANO_OK) {
        stream->frame = (uint16_t *)nano_arena_alloc(arena, n * sizeof(uint16_t), 2);
        stream->window = (int8_t *)nano_arena_alloc(arena, (size_t)params->frames * n, 1);
        stream->front_end = params->front_end->init(params->front_end_params, arena);
        if (stream->frame == NULL || stream->window == NULL || stream->front_end == NULL)
            status = NANO_ERR_MEMORY;
    }
    if (status != NANO_OK)
        (void)nano_arena_restore(arena, checkpoint);
    else
        stream->filled = 0;
    return status;
}

void nano_stream_reset(nano_stream *stream) {
    stream->params->front_end->reset(stream->front_end);
    nano_reset(&stream->net);
    nano_decider_reset(&stream->decider);
    stream->filled = 0;
}

void nano_stream_listen(nano_stream *stream, nano_stream_listener listener, void *user) {
    stream->listener = listener;
    stream->user = user;
}

static int32_t floor_divide(int32_t x, int32_t divisor) {
    return x >= 0 ? x / divisor : -1 - (-1 - x) / divisor;
}

/* The newest frame as the model's numbers, behind those that are there. */
static void quantize(nano_stream *stream) {
    const nano_stream_params *const p = stream->params;
    const nano_tensor *const input = &p->model->inputs[0];
    const int32_t low = input->type == NANO_INT8 ? -128 : 0;
    int8_t *const row = stream->window + (size_t)stream->filled * p->features;
    for (uint16_t i = 0; i < p->features; i++) {
        const uint16_t raw = stream->frame[i];
        const int32_t x = p->front_end->is_signed ? (int16_t)raw : raw;
        int32_t q = floor_divide(x * p->multiplier + p->addend, p->divisor) + input->zero_point;
        q = q < low ? low : q > low + 255 ? low + 255 : q;
        row[i] = (int8_t)(uint8_t)(q & 255);
    }
    stream->filled++;
}

/* A whole window: one step of the model. The frames of the next one that are there move up. */
static size_t take_step(nano_stream *stream) {
    const nano_stream_params *const p = stream->params;
    const size_t size = (size_t)p->frames * p->features, gone = (size_t)p->hop * p->features;
    nano_rewind(&stream->net);
    nano_copy_bytes(nano_input(&stream->net), stream->window, size);
    (void)nano_run(&stream->net); /* refuses only a net that was never made ready */
    nano_copy_bytes(stream->window, stream->window + gone, size - gone);
    stream->filled = (uint16_t)(p->frames - p->hop);
    const size_t decisions = nano_decide(&stream->decider, nano_output(&stream->net));
    if (stream->listener != NULL)
        stream->listener(stream->user, stream, decisions);
    return decisions;
}

size_t nano_stream_feed(nano_stream *stream, const int16_t *samples, size_t n) {
    const nano_stream_params *const p = stream->params;
    size_t decisions = 0;
    while (n > 0) {
        int ready;
        const size_t taken =
            p->front_end->feed(stream->front_end, samples, n, stream->frame, &ready);
        samples += taken;
        n -= taken;
        if (!ready)
            continue;
        quantize(stream);
        if (stream->filled == p->frames)
            decisions += take_step(stream);
    }
    return decisions;
}

size_t nano_stream_pull(nano_stream *stream, nano_ring *ring) {
    /* Seen before `written`: once something was left out, nothing is written until we say so, and
     * all that is there is from before the gap. */
    const uint32_t overrun = nano_ring_load(&ring->overrun);
    const uint32_t written = nano_ring_load(&ring->written);
    size_t decisions = 0;
    uint32_t read = ring->read;
    while (read != written) {
        const uint32_t at = read & (ring->size - 1u);
        const uint32_t left = written - read, straight = ring->size - at;
        const uint32_t n = left < straight ? left : straight;
        decisions += nano_stream_feed(stream, ring->samples + at, n);
        read += n;
        nano_ring_store(&ring->read, read);
    }
    if (overrun != ring->overrun_seen) {
        nano_stream_reset(stream);
        nano_ring_store(&ring->overrun_seen, overrun);
    }
    return decisions;
}
