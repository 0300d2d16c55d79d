/* store.h - what has been learned, kept across resets and power cuts in the board's store.
 *
 * The store's sectors make two slots. A save goes to the slot that does not hold the newest good
 * record, payload first and header last, so that whenever the power fails, the newest good record
 * of before is still there. A slot is
 *
 *     offset  bytes
 *          0      4  magic, STORE_MAGIC
 *          4      4  sequence: the newer one is ahead, modulo 2^32, by less than 2^31
 *          8      4  key: what the payload belongs to (the model, the head's configuration)
 *         12      4  payload's bytes
 *         16      4  payload's CRC-32
 *         20      8  0
 *         28      4  CRC-32 of the 28 bytes before it
 *         32         payload
 *
 * in the board's byte order. What fails one of these checks is no record.
 *
 * A power cut may leave the header's cells between 0 and 1: it reads well now, and not the next
 * time. So a save programs the newest record's header once more, with the bytes it has, before it
 * erases the other slot; and a load checks the payload where it has read it to. */
#ifndef APP_STORE_H
#define APP_STORE_H

#include <stdint.h>

#define STORE_MAGIC 0x4F4E414Eu /* "NANO" */
#define STORE_HEADER 32u        /* bytes of a slot's header */

typedef enum {
    STORE_OK = 0,
    STORE_NONE = -1,   /* the board has no store */
    STORE_EMPTY = -2,  /* no record is there */
    STORE_OTHER = -3,  /* only records of another key, or larger ones, are there */
    STORE_LARGE = -4,  /* the payload does not fit into a slot */
    STORE_FAILED = -5, /* the flash refused, or does not hold what was written */
    STORE_DAMAGED = -6 /* a record is there that fails a check or cannot be read, and no good one */
} store_status;

/* A short English phrase; a constant string, never NULL. */
const char *store_status_text(store_status status);

/* Most bytes of a payload; 0: the board has no store. */
uint32_t store_capacity(void);

/* Read the newest good record that has this key and at most `room` bytes to `to`; `size` gets their
 * number. Records are looked through before the first byte is written to `to`: only STORE_FAILED,
 * reads that gave other bytes the second time or broke off, has changed what is there. */
store_status store_load(uint32_t key, void *to, uint32_t room, uint32_t *size);

/* Make `size` (>= 1) bytes at `from` the newest record. If it fails, the newest record of this key
 * is still what it was; if there was none, the newest of all. */
store_status store_save(uint32_t key, const void *from, uint32_t size);

#endif
