/* sensor.c - see sensor.h. */
#include "sensor.h"

#ifdef APP_SENSOR

#include <string.h>

#include "board.h"
#include "detect.h"

static struct {
    int16_t values[SENSOR_ROOM];
    uint32_t first, count; /* the number of the first one; how many are there */
    uint32_t lost;         /* in front of the first one */
    uint32_t gap, missing; /* in front of the value with this number, if missing is not 0 */
    uint32_t behind;       /* lost in front of what comes next */
    bool open, ended;
} state;

bool sensor_begin(void) {
    sensor_end();
    state.first = state.count = state.lost = state.missing = state.behind = 0;
    state.ended = false;
    state.open = board_sensor_begin(APP_SAMPLE_RATE, APP_SAMPLE_VALUES);
    return state.open;
}

void sensor_end(void) {
    if (state.open)
        board_sensor_end();
    state.open = false;
}

/* Whole samples that fit. Behind a gap nothing is taken before it is reached: there is but one. */
static uint32_t room(void) {
    if (!state.open || state.ended || state.missing != 0)
        return 0;
    return (SENSOR_ROOM - state.count) / APP_SAMPLE_VALUES * APP_SAMPLE_VALUES;
}

static void fetch(void) {
    uint32_t lost = 0;
    const uint32_t most = room();
    const int32_t come = most > 0 ? board_sensor_read(&state.values[state.count], most, &lost) : 0;
    state.ended = state.ended || come < 0;
    state.behind += lost;
    if (come <= 0)
        return;
    state.gap = state.first + state.count;
    state.missing = state.behind;
    state.behind = 0;
    state.count += (uint32_t)come;
}

static void pass_gap(void) {
    if (state.missing != 0 && state.gap == state.first) {
        state.lost += state.missing;
        state.missing = 0;
    }
}

sensor_values sensor_look(void) {
    fetch();
    pass_gap();
    const sensor_values seen = {
        .values = state.values,
        .first = state.first,
        .count = state.missing != 0 ? state.gap - state.first : state.count,
        .lost = state.lost,
        .open = state.open,
        .ended = state.ended && state.missing == 0,
        .cut = state.missing != 0,
    };
    return seen;
}

bool sensor_forget(uint32_t to) {
    const uint32_t old = to - state.first;
    if (old > state.count)
        return false;
    state.count -= old;
    state.first = to;
    memmove(state.values, &state.values[old], state.count * sizeof state.values[0]);
    pass_gap();
    return true;
}

/* False: nothing to do before the line has something. */
static bool work(void) {
    if (detect_work())
        return true;
    fetch();
    return room() > 0;
}

void sensor_until_line(void) {
    while (!board_waiting() && work()) {
    }
}

#endif
