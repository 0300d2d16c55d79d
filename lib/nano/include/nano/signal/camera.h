/* nano/signal/camera.h - from a camera's lines to a model's input: crop, resize, grey, quantize.
 *
 *     nano_camera_init(&camera, &digits_camera, &arena);  // from the generated digits_camera.h
 *     nano_camera_begin(&camera, nano_input(&net));
 *     ... in the camera's callback for each line, from the top one on:
 *     if (nano_camera_line(&camera, line))
 *         picture_is_there = 1;
 *
 * No frame is kept: a line is done with when the call returns. docs/signal.md has the conventions,
 * nanotool.signal.Camera the same in Python. */
#ifndef NANO_SIGNAL_CAMERA_H
#define NANO_SIGNAL_CAMERA_H

#include <stddef.h>
#include <stdint.h>

#include "nano/arena.h"
#include "nano/model.h"
#include "nano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NANO_CAMERA_GREY,      /* a byte a pixel */
    NANO_CAMERA_RGB565,    /* two, the lower first: 5 bits of red above 6 of green, 5 of blue */
    NANO_CAMERA_RGB565_BE, /* two, the upper first, as OmniVision's cameras send them */
    NANO_CAMERA_RGB888     /* three: red, green, blue */
};

enum { NANO_CAMERA_BOX, NANO_CAMERA_BILINEAR };

/* Numbers and tables, const data in flash; nanotool makes it. */
typedef struct {
    uint8_t format;         /* NANO_CAMERA_GREY ... */
    uint8_t resize;         /* NANO_CAMERA_BOX or NANO_CAMERA_BILINEAR */
    uint8_t channels;       /* that come out: 1, grey, or 3 */
    uint16_t left, top;     /* first pixel and line of what is looked at, ... */
    uint16_t width, height; /* ... and how many; width * height at most 2^24 */
    uint16_t out_width, out_height;
    const uint16_t *columns; /* bilinear: [out_width][pixel, part of its right neighbour, 0..256] */
    const uint16_t *rows;    /* bilinear: [out_height][line, part of the next one, 0..256] */
    const uint8_t *values;   /* [channels][256]: what the model takes for a brightness */
} nano_camera_params;

/* One at work. The fields are the library's. */
typedef struct {
    const nano_camera_params *params;
    uint32_t *line; /* [out_width][channels]: the newest line, resized in its width */
    uint32_t *kept; /* [out_width][channels]: box: the row's sums; bilinear: the line before */
    uint8_t *out;   /* [out_height][out_width][channels] */
    uint16_t lines; /* that came */
    uint16_t row;   /* the next one of `out` */
    uint16_t room;  /* box: what the row still takes, in lines / out_height */
} nano_camera;

/* Bytes of arena that one takes, at most. */
#define NANO_CAMERA_ROOM(out_width, channels) (8u * (out_width) * (channels) + 16u)

/* Take what `params` needs from `arena`; no picture has begun. NANO_ERR_ARGUMENT, NANO_ERR_MEMORY;
 * then nothing is taken. `params` and the arena's bytes must outlive `camera`. */
nano_status nano_camera_init(nano_camera *camera, const nano_camera_params *params,
                             nano_arena *arena);

/* Begin a picture, which goes to `out` [out_height][out_width][channels], row by row. */
void nano_camera_begin(nano_camera *camera, void *out);

/* Take the camera's next line, whole, also above and beside what is looked at. Returns 1 once the
 * picture is there; further lines change nothing. */
int nano_camera_line(nano_camera *camera, const uint8_t *line);

/* Where the driver gives whole frames: make the picture of `frame`, whose lines are `pitch` bytes
 * apart, in `net`'s input, and run it. `net` is of the model that the picture is for, and has one
 * input. Returns what nano_run() does. */
nano_status nano_camera_run(nano_camera *camera, nano_net *net, const uint8_t *frame, size_t pitch);

#ifdef __cplusplus
}
#endif
#endif
