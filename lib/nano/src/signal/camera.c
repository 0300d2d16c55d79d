/* camera.c - a picture by lines.
 *
 * box:      out = sum of the pixels, each by its share in the output's, / (width height), rounded.
 *           In units of 1 / out_width a pixel is out_width wide and one of the output width: shares
 *           are whole numbers, and so are sums.
 * bilinear: between the four neighbours of (i + 1/2) width / out_width - 1/2, likewise in height,
 *           with parts of 256; beyond the edge is the edge.
 *
 * The twin in NumPy is nanotool/signal/camera.py. */
#include "nano/signal/camera.h"

#define PART 256u /* of a pixel, bilinear */

static int sound_params(const nano_camera_params *p) {
    const uint32_t pixels = (uint32_t)p->width * p->height;
    return pixels != 0 && pixels <= 1u << 24 && p->out_width != 0 && p->out_height != 0 &&
           (p->channels == 1 || p->channels == 3) && p->values != NULL &&
           (p->resize == NANO_CAMERA_BOX || (p->columns != NULL && p->rows != NULL));
}

nano_status nano_camera_init(nano_camera *camera, const nano_camera_params *params,
                             nano_arena *arena) {
    if (camera == NULL || params == NULL || arena == NULL || !sound_params(params))
        return NANO_ERR_ARGUMENT;
    const size_t checkpoint = nano_arena_checkpoint(arena);
    const size_t size = (size_t)params->out_width * params->channels * sizeof(uint32_t);
    camera->line = (uint32_t *)nano_arena_alloc(arena, size, sizeof(uint32_t));
    camera->kept = (uint32_t *)nano_arena_alloc(arena, size, sizeof(uint32_t));
    if (camera->line == NULL || camera->kept == NULL) {
        (void)nano_arena_restore(arena, checkpoint);
        return NANO_ERR_MEMORY;
    }
    camera->params = params;
    camera->out = NULL;
    camera->row = params->out_height;
    return NANO_OK;
}

static void clear(uint32_t *sums, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        sums[i] = 0;
}

void nano_camera_begin(nano_camera *camera, void *out) {
    const nano_camera_params *const p = camera->params;
    camera->out = (uint8_t *)out;
    camera->lines = 0;
    camera->row = 0;
    camera->room = p->height;
    clear(camera->kept, (uint32_t)p->out_width * p->channels);
}

/* --- Pixels ----------------------------------------------------------------------------------- */

/* Brightness of channel c = 0 .. channels - 1 at pixel `x` of the line. */
static void pixel(const nano_camera_params *p, const uint8_t *line, uint32_t x, uint8_t *to) {
    uint32_t red, green, blue;
    if (p->format == NANO_CAMERA_GREY) {
        red = green = blue = line[x];
    } else if (p->format == NANO_CAMERA_RGB888) {
        red = line[3 * x];
        green = line[3 * x + 1];
        blue = line[3 * x + 2];
    } else {
        const uint32_t upper = p->format == NANO_CAMERA_RGB565 ? 1 : 0;
        const uint32_t bits = (uint32_t)line[2 * x + upper] << 8 | line[2 * x + (upper ^ 1u)];
        red = bits >> 11;
        green = bits >> 5 & 63u;
        blue = bits & 31u;
        red = red << 3 | red >> 2;
        green = green << 2 | green >> 4;
        blue = blue << 3 | blue >> 2;
    }
    if (p->channels == 1) {
        to[0] = (uint8_t)((77 * red + 150 * green + 29 * blue + 128) >> 8); /* BT.601 */
        return;
    }
    to[0] = (uint8_t)red;
    to[1] = (uint8_t)green;
    to[2] = (uint8_t)blue;
}

/* A row of the output: `values` of (a of_a + b of_b) / divisor, rounded. */
static void put_row(nano_camera *camera, const uint32_t *a, uint32_t of_a, const uint32_t *b,
                    uint32_t of_b, uint32_t divisor) {
    const nano_camera_params *const p = camera->params;
    uint8_t *to = camera->out + (size_t)camera->row * p->out_width * p->channels;
    for (uint32_t x = 0; x < p->out_width; x++)
        for (uint32_t c = 0; c < p->channels; c++, a++, b++) {
            /* of a row or a picture, which has pixels: NOLINTNEXTLINE(*DivideZero) */
            const uint32_t brightness = (*a * of_a + *b * of_b + divisor / 2) / divisor;
            *to++ = p->values[256 * c + brightness];
        }
    camera->row++;
}

/* --- Box -------------------------------------------------------------------------------------- */

/* The line in its width: sums of brightness times shares of 1 / out_width. */
static void narrow_box(const nano_camera *camera, const uint8_t *line) {
    const nano_camera_params *const p = camera->params;
    uint32_t *to = camera->line, room = p->width;
    clear(to, (uint32_t)p->out_width * p->channels);
    for (uint32_t x = 0; x < p->width; x++) {
        uint8_t now[3];
        pixel(p, line, p->left + x, now);
        for (uint32_t left = p->out_width; left > 0;) {
            const uint32_t share = left < room ? left : room;
            for (uint32_t c = 0; c < p->channels; c++)
                to[c] += share * now[c]; /* 1 or 3: NOLINT(*UndefinedBinaryOperatorResult) */
            left -= share;
            room -= share;
            if (room == 0) {
                to += p->channels;
                room = p->width;
            }
        }
    }
}

static void box(nano_camera *camera, const uint8_t *line) {
    const nano_camera_params *const p = camera->params;
    const uint32_t count = (uint32_t)p->out_width * p->channels;
    narrow_box(camera, line);
    for (uint32_t left = p->out_height; left > 0;) {
        const uint32_t share = left < camera->room ? left : camera->room;
        for (uint32_t i = 0; i < count; i++)
            camera->kept[i] += share * camera->line[i];
        left -= share;
        camera->room = (uint16_t)(camera->room - share);
        if (camera->room == 0) {
            const uint32_t whole = (uint32_t)p->width * p->height;
            put_row(camera, camera->kept, 1, camera->kept, 0, whole);
            clear(camera->kept, count);
            camera->room = p->height;
        }
    }
}

/* --- Bilinear --------------------------------------------------------------------------------- */

static void narrow_bilinear(const nano_camera *camera, const uint8_t *line) {
    const nano_camera_params *const p = camera->params;
    uint32_t *to = camera->line;
    for (uint32_t i = 0; i < p->out_width; i++) {
        const uint32_t x = p->columns[2 * i], part = p->columns[2 * i + 1];
        uint8_t a[3], b[3];
        pixel(p, line, p->left + x, a);
        pixel(p, line, p->left + (part == 0 ? x : x + 1), b);
        for (uint32_t c = 0; c < p->channels; c++)
            /* channels is 1 or 3: NOLINTNEXTLINE(*UndefinedBinaryOperatorResult) */
            *to++ = a[c] * (PART - part) + b[c] * part;
    }
}

/* Rows that end at the newest line, line `y` of what is looked at. */
static void bilinear(nano_camera *camera, const uint8_t *line, uint16_t y) {
    const nano_camera_params *const p = camera->params;
    const uint32_t count = (uint32_t)p->out_width * p->channels;
    const uint16_t *at = p->rows + 2 * camera->row;
    if (at[0] != y && at[0] + 1 != y)
        return; /* above what the next row needs */
    narrow_bilinear(camera, line);
    for (; camera->row < p->out_height && at[0] + (at[1] != 0) <= y; at += 2) {
        if (at[1] == 0)
            put_row(camera, camera->line, PART, camera->line, 0, PART * PART);
        else
            put_row(camera, camera->kept, PART - at[1], camera->line, at[1], PART * PART);
    }
    for (uint32_t i = 0; i < count; i++)
        camera->kept[i] = camera->line[i];
}

int nano_camera_line(nano_camera *camera, const uint8_t *line) {
    const nano_camera_params *const p = camera->params;
    if (camera->row == p->out_height)
        return 1;
    const uint16_t y = camera->lines++;
    if (y < p->top)
        return 0;
    if (p->resize == NANO_CAMERA_BOX)
        box(camera, line);
    else
        bilinear(camera, line, (uint16_t)(y - p->top));
    return camera->row == p->out_height;
}
