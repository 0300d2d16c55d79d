/* commands_sensor.c - what the board's sensor gives: `sensor ...` (docs/console.md). */
#include "commands.h"

#include "sensor.h"

#ifdef APP_SENSOR

#include "detect.h"
#include "format.h"
#include "inference.h"
#include "parse.h"

#define FRAMES_AN_ANSWER 4u
#define FRAME_VALUES (FRAME_MAX_DATA / sizeof(int16_t))
#define OFFSET_MASK 0xffffffu /* offsets count bytes modulo 2^24 */

static void put_begin(void) {
    put_open("m-sensor-begin");
    put_unsigned(APP_SAMPLE_RATE);
    put_text(" ");
    put_unsigned(APP_SAMPLE_VALUES);
    put_close();
}

/* `m-sensor-[FIRST COUNT LOST ENDED]`, of the values that follow or that wait. */
static void put_seen(const sensor_values *seen, uint32_t count) {
    put_open("m-sensor");
    put_unsigned(seen->first);
    put_text(" ");
    put_unsigned(count);
    put_text(" ");
    put_unsigned(seen->lost);
    put_text(" ");
    put_unsigned(seen->ended && count == seen->count);
    put_close();
}

/* Asked for once more, the same values come again, and perhaps more: those in front of `at` are
 * what the host has. */
static void send_from(uint32_t at) {
    if (!sensor_forget(at)) {
        put_error("There are no such values");
        return;
    }
    const sensor_values seen = sensor_look();
    uint32_t count = FRAMES_AN_ANSWER * FRAME_VALUES / APP_SAMPLE_VALUES * APP_SAMPLE_VALUES;
    if (count > seen.count)
        count = seen.count;
    put_seen(&seen, count);
    for (uint32_t i = 0; i < count; i += FRAME_VALUES) {
        const uint32_t rest = count - i, values = rest < FRAME_VALUES ? rest : FRAME_VALUES;
        frame_send('T', (at + i) * (uint32_t)sizeof(int16_t) & OFFSET_MASK, &seen.values[i],
                   (uint16_t)(values * sizeof(int16_t)));
    }
}

bool command_sensor(unsigned count, char *const words[]) {
    uint32_t at;
    if (count == 3) {
        if (!same_text(words[1], "read") || !parse_unsigned(words[2], UINT32_MAX, &at))
            return false;
        if (!sensor_look().open || detecting())
            put_error("The sensor is off: sensor begin");
        else
            send_from(at);
    } else if (count == 1) {
        const sensor_values seen = sensor_look();
        put_seen(&seen, seen.count);
    } else if (same_text(words[1], "begin")) {
        detect_end();
        if (sensor_begin())
            put_begin();
        else
            put_error("This board has no sensor for the model");
    } else if (same_text(words[1], "end")) {
        detect_end();
        sensor_end();
    } else {
        return false;
    }
    return true;
}

#endif
