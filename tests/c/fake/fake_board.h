/* fake_board.h - the app's board in its unit tests. firmware/build.py renames the calls that the
 * app makes from board_x to fake_x, so that a suite can run on a board, too. */
#ifndef FAKE_BOARD_H
#define FAKE_BOARD_H

#include <stddef.h>
#include <stdint.h>

/* What the app has sent since fake_clear(). Of more than FAKE_SENT_MAX bytes the rest is counted
 * in fake_sent_size, and not kept. A zero stands behind the bytes kept. */
#define FAKE_SENT_MAX 4096u
extern uint8_t fake_sent[FAKE_SENT_MAX + 1];
extern size_t fake_sent_size;
void fake_clear(void);

/* How often the app has asked for a reset. */
extern unsigned fake_resets;

/* The board's store, until fake_store_shape() of no bytes: sectors of a size, programmed by units.
 */
#define FAKE_STORE_MAX 4096u
extern uint8_t fake_store_bytes[FAKE_STORE_MAX];
void fake_store_shape(uint32_t sector_size, uint32_t sectors, uint32_t unit);

/* Reads of more bytes break off half-way. UINT32_MAX, as it begins: none does. */
extern uint32_t fake_store_longest_read;

/* Operations (a unit programmed, a sector erased) since fake_store_power(). */
extern uint32_t fake_store_operations;

/* Power on. Operation `cut` (1 is the next one, 0: none) is left unfinished, bits and bytes by
 * chance from `seed`, and from there on the store neither answers nor changes. */
void fake_store_power(uint32_t cut, uint32_t seed);

#endif
