/* fake_board.h - the app's board in its unit tests. firmware/build.py renames the calls that the
 * app makes from board_x to fake_x, so that a suite can run on a board, too. */
#ifndef FAKE_BOARD_H
#define FAKE_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The sensor: these values, fake_sensor_piece at most at a time; in front of number fake_sensor_gap
 * fake_sensor_lost were lost. Behind the last one none ever come, or none now. */
#define FAKE_SENSOR_MAX 16384u
extern int16_t fake_sensor_values[FAKE_SENSOR_MAX];
extern uint32_t fake_sensor_size, fake_sensor_piece, fake_sensor_gap, fake_sensor_lost;
extern bool fake_sensor_ends;

/* What the app has sent since fake_clear(). Of more than FAKE_SENT_MAX bytes the rest is counted
 * in fake_sent_size, and not kept. A zero stands behind the bytes kept. */
#define FAKE_SENT_MAX 4096u
extern uint8_t fake_sent[FAKE_SENT_MAX + 1];
extern size_t fake_sent_size;
void fake_clear(void);

/* Edges down of each pin; microseconds that pass with every look at that clock. */
extern uint32_t fake_pulses[3];
extern uint32_t fake_micros_passing;

/* How often the app has asked for a reset. */
extern unsigned fake_resets;

/* The line's rate; 0: that of the start. */
extern uint32_t fake_line_baud;

/* The board's store, until fake_store_shape() of no bytes: sectors of a size, programmed by units.
 */
#define FAKE_STORE_MAX 4096u
extern uint8_t fake_store_bytes[FAKE_STORE_MAX];
void fake_store_shape(uint32_t sector_size, uint32_t sectors, uint32_t unit);

/* Reads of more bytes break off half-way. UINT32_MAX, as it begins: none does. */
extern uint32_t fake_store_longest_read;

/* So many reads fail, the next ones. */
extern uint32_t fake_store_failing_reads;

/* Operations (a unit programmed, a sector erased) since fake_store_power(). */
extern uint32_t fake_store_operations;

/* Power on. Operation `cut` (1 is the next one, 0: none) is left unfinished, as `how` says and by
 * chance from `seed`, and from there on the store neither answers nor changes. */
typedef enum {
    FAKE_TORN,     /* some of the bits that had to change did; erased bytes are anything */
    FAKE_UNSTABLE, /* those bits read now so, now so, until they are programmed or erased again */
    FAKE_LATE,     /* it was finished, but nobody was told */
    FAKE_TEARINGS
} fake_tearing;
void fake_store_power(uint32_t cut, fake_tearing how, uint32_t seed);

/* Cells that are broken, until fake_store_heal(): each byte's bits that always read 1, those that
 * always read 0, and those that read now so, now so. */
extern uint8_t fake_store_ones[FAKE_STORE_MAX], fake_store_zeros[FAKE_STORE_MAX],
    fake_store_weak[FAKE_STORE_MAX];

/* Does a program or an erase say that it has failed where it has? Does an erase do anything? Is a
 * unit programmed only where it is erased, as in a flash with check bits? */
extern bool fake_store_tells, fake_store_erases, fake_store_once;

/* One byte in so many reads has a wrong bit; 0: none. */
extern uint32_t fake_store_noise;
void fake_store_heal(void);

#endif
