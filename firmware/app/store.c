/* store.c - two slots, each with a sequence number and CRCs. */
#include "store.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "board.h"
#include "crc32.h"

#define PIECE 64u /* bytes read at once to check a payload */
#define MOST_UNIT 32u
#define TRIES 3u /* reads of what fails its check: cells between 0 and 1 read now so, now so */

typedef struct {
    uint32_t magic, sequence, key, size, payload_crc, zero[2], crc;
} header;

/* The size of a header is the layout's, whatever the compiler. */
typedef char header_is_as_store_h_says[sizeof(header) == STORE_HEADER ? 1 : -1];

typedef struct {
    uint32_t sectors;     /* of one slot */
    uint32_t size;        /* bytes of one slot; 0: there is no store */
    uint32_t sector_size; /* bytes */
    uint32_t unit;        /* bytes */
} geometry;

/* A slot as it was read. */
typedef struct {
    bool good;
    bool damaged; /* not good, and yet not empty */
    header head;  /* if it is good */
} slot;

static geometry get_geometry(void) {
    board_store_info info = {0};
    board_store(&info);
    const geometry none = {0};
    if (info.unit == 0 || info.unit > MOST_UNIT)
        return none;
    const geometry found = {
        .sectors = info.sectors / 2u,
        .size = info.sectors / 2u * info.sector_size,
        .sector_size = info.sector_size,
        .unit = info.unit,
    };
    return found.size > STORE_HEADER ? found : none;
}

uint32_t store_capacity(void) {
    const geometry place = get_geometry();
    return place.size == 0 ? 0 : place.size - STORE_HEADER;
}

static bool payload_matches(uint32_t offset, const header *head) {
    uint8_t piece[PIECE];
    uint32_t crc = 0;
    for (uint32_t done = 0; done < head->size; done += PIECE) {
        const uint32_t count = head->size - done < PIECE ? head->size - done : PIECE;
        if (!board_store_read(offset + STORE_HEADER + done, piece, count))
            return false;
        crc = crc32_update(crc, piece, count);
    }
    return crc == head->payload_crc;
}

static uint32_t header_crc(const header *head) {
    return crc32_update(0, head, offsetof(header, crc));
}

static slot look_once(const geometry *place, uint32_t index) {
    slot found = {.good = false};
    header *const head = &found.head;
    const uint32_t offset = index * place->size;
    if (!board_store_read(offset, head, sizeof *head)) {
        found.damaged = true;
        return found;
    }
    found.good = head->magic == STORE_MAGIC && head->crc == header_crc(head) && head->size > 0 &&
                 head->size <= place->size - STORE_HEADER && payload_matches(offset, head);
    const bool named = head->magic == STORE_MAGIC;
    head->magic = STORE_MAGIC; /* a record that has lost no more than this is one, too */
    found.damaged = !found.good && (named || head->crc == header_crc(head));
    return found;
}

static slot look_at(const geometry *place, uint32_t index) {
    slot found = look_once(place, index);
    for (uint32_t i = 1; i < TRIES && found.damaged; i++)
        found = look_once(place, index);
    return found;
}

static bool is_newer(uint32_t sequence, uint32_t than) {
    return sequence != than && sequence - than < UINT32_C(0x80000000);
}

/* 0 or 1: the slot with the newest good record; with `key` only records of this key and of at most
 * `room` bytes count. 2: there is none. */
static uint32_t newest(const slot slots[2], const uint32_t *key, uint32_t room) {
    uint32_t best = 2;
    for (uint32_t i = 0; i < 2; i++) {
        const header *const head = &slots[i].head;
        if (!slots[i].good || (key != NULL && (head->key != *key || head->size > room)))
            continue;
        if (best == 2 || is_newer(head->sequence, slots[best].head.sequence))
            best = i;
    }
    return best;
}

/* Read a record's payload. What counts is checked here, in its place: a second read may give other
 * bytes than the first one, where a power cut left a cell between 0 and 1. */
static bool take(const geometry *place, uint32_t index, const header *head, void *to) {
    const uint32_t offset = index * place->size + STORE_HEADER;
    for (uint32_t i = 0; i < TRIES; i++) {
        if (board_store_read(offset, to, head->size) &&
            crc32_update(0, to, head->size) == head->payload_crc)
            return true;
    }
    return false;
}

store_status store_load(uint32_t key, void *to, uint32_t room, uint32_t *size) {
    const geometry place = get_geometry();
    if (place.size == 0)
        return STORE_NONE;
    slot slots[2] = {look_at(&place, 0), look_at(&place, 1)};
    store_status missing = STORE_EMPTY;
    if (newest(slots, NULL, 0) != 2)
        missing = STORE_OTHER;
    else if (slots[0].damaged || slots[1].damaged)
        missing = STORE_DAMAGED;
    for (;;) {
        const uint32_t chosen = newest(slots, &key, room);
        if (chosen == 2)
            return missing;
        if (take(&place, chosen, &slots[chosen].head, to)) {
            *size = slots[chosen].head.size;
            return STORE_OK;
        }
        slots[chosen].good = false; /* the older one, then */
        missing = STORE_FAILED;
    }
}

static bool erase(const geometry *place, uint32_t index, uint32_t bytes) {
    for (uint32_t i = 0; i * place->sector_size < bytes; i++) {
        if (!board_store_erase(index * place->sectors + i))
            return false;
    }
    return true;
}

/* The last unit is filled up with ones, which programming leaves as they are. */
static bool program(const geometry *place, uint32_t offset, const uint8_t *bytes, uint32_t size) {
    const uint32_t rest = size % place->unit, whole = size - rest;
    uint8_t unit[MOST_UNIT];
    if (whole > 0 && !board_store_program(offset, bytes, whole))
        return false;
    if (rest == 0)
        return true;
    memset(unit, 0xFF, sizeof unit);
    memcpy(unit, &bytes[whole], rest);
    return board_store_program(offset + whole, unit, place->unit);
}

/* Program a record's header once more: a power cut may have left it half programmed, so that it is
 * good only as long as its reads happen to be. False: it is not sure. */
static bool make_sure(const geometry *place, uint32_t index, const slot *kept) {
    return program(place, index * place->size, (const uint8_t *)&kept->head, STORE_HEADER);
}

/* The slot for the next record: not the one with the newest record of this key or, if there is
 * none, of all. Nothing else is touched before that one is sure; one that cannot be made so has to
 * give way to an older record. */
static uint32_t choose_target(const geometry *place, const slot slots[2], uint32_t key) {
    const uint32_t ours = newest(slots, &key, place->size);
    const uint32_t spared = ours != 2 ? ours : newest(slots, NULL, 0);
    if (spared == 2)
        return 0;
    const uint32_t other = 1u - spared;
    return make_sure(place, spared, &slots[spared]) || !slots[other].good ? other : spared;
}

store_status store_save(uint32_t key, const void *from, uint32_t size) {
    const geometry place = get_geometry();
    if (place.size == 0)
        return STORE_NONE;
    if (size == 0 || size > place.size - STORE_HEADER)
        return STORE_LARGE;
    const slot slots[2] = {look_at(&place, 0), look_at(&place, 1)};
    const uint32_t last = newest(slots, NULL, 0), target = choose_target(&place, slots, key);
    header head = {
        .magic = STORE_MAGIC,
        .sequence = last == 2 ? 0 : slots[last].head.sequence + 1u,
        .key = key,
        .size = size,
        .payload_crc = crc32_update(0, from, size),
    };
    head.crc = header_crc(&head);
    const uint32_t offset = target * place.size;
    if (!erase(&place, target, STORE_HEADER + size) ||
        !program(&place, offset + STORE_HEADER, (const uint8_t *)from, size) ||
        !program(&place, offset, (const uint8_t *)&head, sizeof head))
        return STORE_FAILED;
    const slot written = look_at(&place, target);
    return written.good && written.head.sequence == head.sequence ? STORE_OK : STORE_FAILED;
}

const char *store_status_text(store_status status) {
    switch (status) {
    case STORE_OK:
        return "done";
    case STORE_NONE:
        return "the board has no store";
    case STORE_EMPTY:
        return "nothing is stored";
    case STORE_DAMAGED:
        return "what is stored is damaged, or its save was cut off";
    case STORE_OTHER:
        return "what is stored belongs to another model";
    case STORE_LARGE:
        return "larger than a slot of the store";
    case STORE_FAILED:
        return "the flash failed";
    }
    return "unknown";
}
