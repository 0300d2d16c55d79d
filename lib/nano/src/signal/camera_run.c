/* camera_run.c - a whole frame, and the model's answer to it. */
#include "nano/signal/camera.h"

nano_status nano_camera_run(nano_camera *camera, nano_net *net, const uint8_t *frame,
                            size_t pitch) {
    nano_rewind(net);
    nano_camera_begin(camera, nano_input(net));
    while (!nano_camera_line(camera, frame))
        frame += pitch;
    return nano_run(net);
}
