/* What store.h promises: power cuts at every single write and erase, torn ones, and corrupted bytes
 * never lose the newest good record, never bring a wrong one, and never stop the next save. */
#include "../check/check.h"

#include <stdbool.h>
#include <string.h>

#include "fake_board.h"
#include "store.h"

#define KEY 0x12345678u
#define MOST 600u /* bytes of the largest payload */

static uint8_t before[FAKE_STORE_MAX]; /* the flash in front of what is tried */
static uint32_t cut_points;

/* Payload `number` of `size` bytes: no two have the same bytes. */
static void make(uint8_t *bytes, uint32_t number, uint32_t size) {
    uint32_t state = number * 2654435761u + 1u;
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(check_random(&state) >> 9);
}

static store_status save(uint32_t number, uint32_t size) {
    uint8_t bytes[MOST];
    make(bytes, number, size);
    return store_save(KEY, bytes, size);
}

/* Does a load give exactly payload `number`? */
static bool loads(uint32_t number, uint32_t size) {
    uint8_t expected[MOST], bytes[MOST];
    uint32_t got = 0;
    make(expected, number, size);
    memset(bytes, 0xAA, sizeof bytes);
    return store_load(KEY, bytes, sizeof bytes, &got) == STORE_OK && got == size &&
           memcmp(bytes, expected, size) == 0;
}

static void start(uint32_t sector_size, uint32_t sectors, uint32_t unit) {
    memset(fake_store_bytes, 0x5A, sizeof fake_store_bytes); /* whatever was there before */
    fake_store_shape(sector_size, sectors, unit);
    fake_store_power(0, 0);
}

static void test_newest_is_loaded(void) {
    start(512, 8, 4);
    uint32_t size = 0;
    CHECK_EQUAL(2048 - 32, store_capacity());
    CHECK_EQUAL(STORE_EMPTY, store_load(KEY, before, 4, &size));
    for (uint32_t i = 0; i < 6; i++) {
        CHECK_EQUAL(STORE_OK, save(i, 100 + i));
        CHECK(loads(i, 100 + i));
    }
    CHECK_EQUAL(STORE_OTHER, store_load(KEY, before, 103, &size)); /* 104 and 105 bytes there */
    CHECK_EQUAL(STORE_OTHER, store_load(KEY + 1, before, sizeof before, &size));
    CHECK_EQUAL(STORE_OK, store_save(KEY + 1, "other", 5)); /* spares the newest of before */
    CHECK(loads(5, 105));
    CHECK_EQUAL(STORE_OK, save(6, 7)); /* ... and ours goes over the other one's, then */
    CHECK(loads(6, 7));
}

static void test_what_is_refused(void) {
    uint32_t size = 0;
    start(512, 8, 4);
    CHECK_EQUAL(STORE_OK, save(1, 50));
    CHECK_EQUAL(STORE_LARGE, store_save(KEY, before, 0));
    CHECK_EQUAL(STORE_LARGE, store_save(KEY, before, 2048 - 31));
    CHECK(loads(1, 50));
    fake_store_shape(512, 0, 4);
    CHECK_EQUAL(0, store_capacity());
    CHECK_EQUAL(STORE_NONE, save(1, 50));
    CHECK_EQUAL(STORE_NONE, store_load(KEY, before, 50, &size));
    fake_store_shape(512, 1, 4);
    CHECK_EQUAL(STORE_NONE, save(1, 50));
    fake_store_shape(512, 8, 64); /* larger units than the header has bytes */
    CHECK_EQUAL(STORE_NONE, save(1, 50));
}

/* The sequence number may wrap. */
static void test_sequence_wraps(void) {
    start(512, 8, 4);
    for (uint32_t i = 0; i < 2; i++)
        CHECK_EQUAL(STORE_OK, save(i, 40));
    CHECK_EQUAL(1, fake_store_bytes[2048 + 4]);
    /* No way to save 2^32 times: what is newer is decided by store_load() alone, from headers that
     * a save wrote, with the clock of sequence numbers set to its end. */
    static const uint8_t end[4] = {0xFF, 0xFF, 0xFF, 0xFF};
    uint8_t header[32];
    memcpy(header, &fake_store_bytes[2048], sizeof header);
    memcpy(&header[4], end, sizeof end);
    uint32_t crc = 0xFFFFFFFFu;
    for (uint32_t i = 0; i < 28; i++) {
        crc ^= header[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
    crc = ~crc;
    memcpy(&header[28], &crc, sizeof crc);
    memcpy(&fake_store_bytes[2048], header, sizeof header);
    CHECK(loads(0, 40)); /* 0 is ahead of 2^32 - 1 */
    CHECK_EQUAL(STORE_OK, save(2, 40));
    CHECK(loads(2, 40));
}

/* Save payload `number` over what is in `before`, cut at operation `cut`; then again, cut at
 * `second` (0: not), then whole. */
static void cut_once(uint32_t number, uint32_t size, uint32_t cut, uint32_t second) {
    memcpy(fake_store_bytes, before, sizeof before);
    fake_store_power(cut, cut * 977u + number);
    CHECK_EQUAL(STORE_FAILED, save(number, size));
    CHECK_EQUAL(cut, fake_store_operations);
    fake_store_power(0, 0);
    CHECK(number == 0 || loads(number - 1, size) || loads(number, size));
    uint8_t spare[MOST];
    uint32_t got;
    CHECK(number != 0 || loads(0, size) ||
          store_load(KEY, spare, sizeof spare, &got) == STORE_EMPTY);
    const bool done = loads(number, size); /* torn so late that nothing was missing */
    if (second != 0) {
        fake_store_power(second, cut + 31u * second);
        CHECK_EQUAL(STORE_FAILED, save(number + 1, size));
        fake_store_power(0, 0);
        CHECK(number == 0 || done || loads(number - 1, size) || loads(number + 1, size));
        CHECK(!done || loads(number, size) || loads(number + 1, size));
    }
    CHECK_EQUAL(STORE_OK, save(number + 2, size));
    CHECK(loads(number + 2, size));
    cut_points += second != 0 ? 2u : 1u;
}

/* Every operation of each of `saves` saves is cut once. */
static void cut_everywhere(uint32_t saves, uint32_t size) {
    for (uint32_t number = 0; number < saves; number++) {
        memcpy(before, fake_store_bytes, sizeof before);
        fake_store_power(0, 0);
        CHECK_EQUAL(STORE_OK, save(number, size));
        const uint32_t operations = fake_store_operations;
        CHECK(operations > size / 32u);
        for (uint32_t cut = 1; cut <= operations; cut++)
            cut_once(number, size, cut, cut % 3u == 0 ? 1u + cut * 7u % operations : 0u);
        memcpy(fake_store_bytes, before, sizeof before);
        fake_store_power(0, 0);
        CHECK_EQUAL(STORE_OK, save(number, size));
    }
}

static void test_power_cuts(void) {
    cut_points = 0;
    start(512, 8, 4);
    cut_everywhere(6, 600); /* two sectors, 160 operations a save */
    start(1024, 4, 1);
    cut_everywhere(3, 77);
    start(128, 5, 16); /* an odd sector is left over */
    cut_everywhere(8, 201);
    start(256, 2, 32);
    cut_everywhere(8, 224); /* the whole slot */
    start(512, 8, 8);
    cut_everywhere(8, 333);
    CHECK(cut_points >= 2000);
}

/* Each byte of a slot changed: another record, or a broken one, is never loaded. */
static void corrupt(uint32_t from, uint32_t bytes, uint32_t used, uint32_t good, uint32_t spare,
                    uint32_t size) {
    for (uint32_t at = from; at < from + bytes; at++) {
        const uint8_t old = before[at];
        const uint8_t wrong[] = {(uint8_t)(old ^ 1u), (uint8_t)(old ^ 0x80u), (uint8_t)~old, 0,
                                 0xFF};
        for (uint32_t i = 0; i < sizeof wrong; i++) {
            if (wrong[i] == old)
                continue;
            memcpy(fake_store_bytes, before, sizeof before);
            fake_store_bytes[at] = wrong[i];
            CHECK(loads(at < from + used ? spare : good, size));
        }
        CHECK_EQUAL(STORE_OK, save(9, size));
        CHECK(loads(9, size));
    }
}

static void test_corrupted_bytes(void) {
    start(256, 4, 4);
    CHECK_EQUAL(STORE_OK, save(0, 201));
    CHECK_EQUAL(STORE_OK, save(1, 201));
    memcpy(before, fake_store_bytes, sizeof before);
    corrupt(512, 512, 32 + 201, 1, 0, 201); /* of the newest: the older one is loaded */
    corrupt(0, 512, 0, 1, 1, 201);          /* of the older one: no matter */
}

/* Both slots broken: nothing is loaded, and the next save works. */
static void test_nothing_left(void) {
    uint32_t size = 0;
    start(256, 4, 4);
    CHECK_EQUAL(STORE_OK, save(0, 100));
    CHECK_EQUAL(STORE_OK, save(1, 100));
    fake_store_bytes[40] ^= 4;
    fake_store_bytes[512 + 131] ^= 4;
    CHECK_EQUAL(STORE_EMPTY, store_load(KEY, before, sizeof before, &size));
    CHECK_EQUAL(STORE_OK, save(2, 100));
    CHECK(loads(2, 100));
}

int main(void) {
    check_begin();
    RUN(test_newest_is_loaded);
    RUN(test_what_is_refused);
    RUN(test_sequence_wraps);
    RUN(test_power_cuts);
    RUN(test_corrupted_bytes);
    RUN(test_nothing_left);
    return check_end();
}
