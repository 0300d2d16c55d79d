/* sensor.h - the board's own sensor: what came and was not fetched yet, and who works on it while
 * the line is silent.
 *
 *     APP_SENSOR        app_model.h defines it where the firmware shall have one; it has one model,
 *                       which listens
 *     APP_SAMPLE_VALUES values of a sample: channels
 *     APP_DETECT        values from one step of the model to the next: the board listens by itself
 *                       (detect.h), as MLPerf Tiny's streaming wake word */
#ifndef APP_SENSOR_H
#define APP_SENSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "app_model.h"

/* Values that wait for the host: at 16 kHz 256 ms. */
#define SENSOR_ROOM 4096u

#ifdef APP_SENSOR

/* Begin anew at the model's rate. False: the board has no such sensor. */
bool sensor_begin(void);

void sensor_end(void);

/* Values that wait. `first`: the number of the first one, counted from sensor_begin() without those
 * that were lost; `lost`: how many were lost in front of it; `count`: those without a gap between
 * them, 0 where there is none yet; `ended`: nothing comes behind them. */
typedef struct {
    const int16_t *values;
    uint32_t first, count, lost;
    bool open, ended, cut; /* cut: some were lost right behind them */
} sensor_values;

/* Fetch what the board has, where there is room, and look. */
sensor_values sensor_look(void);

/* The values up to number `to` are no longer needed. False: there are no such ones. */
bool sensor_forget(uint32_t to);

/* Work on the sensor until the line has something, or nothing is left to do. */
void sensor_until_line(void);

#else

static inline void sensor_until_line(void) {
}

#endif

#endif
