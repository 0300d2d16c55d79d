/* boards/native - the sensor is a file of int16, the lower byte first, the channels of a sample in
 * turn: it is played as fast as it is fetched, from its beginning at each board_sensor_begin(). If
 * it is a pipe, more may always come.
 *
 *     NANO_SENSOR   its path
 *     NANO_PINS     a file to which each change of a pin is appended: `PIN LEVEL VALUES`, VALUES
 *                   being how many have been fetched since board_sensor_begin() */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif

#include "board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_CHANNELS 32u
#define CHUNK 512u /* samples at most that are read at once */

static struct {
    int file;
    bool open, pipe;
    uint32_t channels, fetched;
    uint8_t bytes[CHUNK * MOST_CHANNELS * 2u];
    size_t held; /* bytes of a sample that is not whole yet */
} state;

bool board_sensor_begin(uint32_t rate, uint32_t channels) {
    const char *const path = getenv("NANO_SENSOR");
    struct stat facts;
    (void)rate;
    board_sensor_end();
    if (path == NULL || channels == 0 || channels > MOST_CHANNELS)
        return false;
    state.file = open(path, O_RDONLY | O_NONBLOCK);
    if (state.file < 0)
        return false;
    state.open = true;
    state.pipe = fstat(state.file, &facts) == 0 && S_ISFIFO(facts.st_mode);
    state.channels = channels;
    state.fetched = 0;
    state.held = 0;
    return true;
}

/* How many bytes came; 0: none now, -1: none ever. */
static ssize_t take(size_t most) {
    const ssize_t come = read(state.file, &state.bytes[state.held], most);
    if (come > 0)
        return come;
    if (come < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return state.pipe && come == 0 ? 0 : -1;
}

int32_t board_sensor_read(int16_t *values, uint32_t most, uint32_t *lost) {
    const size_t sample = 2u * state.channels;
    size_t samples = most / state.channels;
    (void)lost;
    if (!state.open)
        return -1;
    if (samples > CHUNK)
        samples = CHUNK;
    const ssize_t come = samples > 0 ? take(samples * sample - state.held) : 0;
    if (come < 0)
        return -1;
    const size_t there = state.held + (size_t)come, whole = there / sample * state.channels;
    for (size_t i = 0; i < whole; i++)
        values[i] = (int16_t)(state.bytes[2 * i] | state.bytes[2 * i + 1] << 8);
    state.held = there - 2u * whole;
    for (size_t i = 0; i < state.held; i++)
        state.bytes[i] = state.bytes[2u * whole + i];
    state.fetched += (uint32_t)whole;
    return (int32_t)whole;
}

void board_sensor_end(void) {
    if (state.open)
        (void)close(state.file);
    state.open = false;
}

void board_set_pin(board_pin pin, bool high) {
    static const char *const names[] = {"timestamp", "processing", "detected"};
    const char *const path = getenv("NANO_PINS");
    FILE *const file = path != NULL ? fopen(path, "a") : NULL;
    if (file == NULL)
        return;
    (void)fprintf(file, "%s %d %lu\n", names[pin], (int)high, (unsigned long)state.fetched);
    (void)fclose(file);
}
