/* sound.c - front ends and streams over recordings. */
#include "sound.h"

#include <string.h>

const nano_front_end *nanotool_micro_front_end(void) {
    return &nano_micro_front_end;
}

const nano_front_end *nanotool_mel_front_end(void) {
    return &nano_mel_front_end;
}

const nano_front_end *nanotool_sensor_front_end(void) {
    return &nano_sensor_front_end;
}

size_t nanotool_features(const nano_front_end *kind, void *front_end, size_t features, size_t n,
                         const int16_t *samples, uint16_t *frames) {
    size_t count = 0;
    while (n > 0) {
        int ready;
        const size_t taken = kind->feed(front_end, samples, n, frames + count * features, &ready);
        samples += taken;
        n -= taken;
        count += ready ? 1 : 0;
    }
    return count;
}

void nanotool_camera(nano_camera *camera, size_t n, size_t height, size_t pitch,
                     const uint8_t *frames, uint8_t *out) {
    const nano_camera_params *const p = camera->params;
    const size_t size = (size_t)p->out_height * p->out_width * p->channels;
    for (; n > 0; n--, out += size) {
        nano_camera_begin(camera, out);
        for (size_t y = 0; y < height; y++, frames += pitch)
            (void)nano_camera_line(camera, frames);
    }
}

typedef struct {
    uint8_t *outputs;
    nano_decision *decisions;
    size_t steps, made;
} notes;

static void note(void *user, const nano_stream *stream, size_t decisions) {
    notes *const to = (notes *)user;
    const size_t size = stream->net.model->outputs[0].size;
    memcpy(to->outputs + to->steps * size, nano_output(&stream->net), size);
    memcpy(to->decisions + to->made, stream->decider.made, decisions * sizeof(nano_decision));
    to->steps++;
    to->made += decisions;
}

size_t nanotool_stream(nano_stream *stream, size_t n, const int16_t *samples, uint8_t *outputs,
                       nano_decision *decisions, size_t *made) {
    notes taken = {outputs, decisions, 0, 0};
    nano_stream_listen(stream, note, &taken);
    (void)nano_stream_feed(stream, samples, n);
    nano_stream_listen(stream, NULL, NULL);
    *made = taken.made;
    return taken.steps;
}

size_t nanotool_decide(nano_decider *decider, size_t steps, const uint8_t *outputs,
                       nano_decision *decisions) {
    size_t made = 0;
    nano_decider_reset(decider);
    for (size_t i = 0; i < steps; i++, outputs += decider->output->size) {
        const size_t count = nano_decide(decider, outputs);
        memcpy(decisions + made, decider->made, count * sizeof(nano_decision));
        made += count;
    }
    return made;
}
