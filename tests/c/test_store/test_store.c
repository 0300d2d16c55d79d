/* What store.h promises: power cuts at every single write and erase, torn and unstable ones, broken
 * cells and corrupted bytes never lose the newest good record, never bring a wrong one, and never
 * stop the next save. */
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

#define NOTHING UINT32_MAX
#define WRONG (UINT32_MAX - 1u)

/* Which of the payloads `first` to `last` one load gives; NOTHING, or WRONG if it is none of them.
 */
static uint32_t loaded(uint32_t first, uint32_t last, uint32_t size) {
    uint8_t expected[MOST], bytes[MOST];
    uint32_t got = 0;
    memset(bytes, 0xAA, sizeof bytes);
    if (store_load(KEY, bytes, sizeof bytes, &got) != STORE_OK)
        return NOTHING;
    for (uint32_t number = first; number <= last && got == size; number++) {
        make(expected, number, size);
        if (memcmp(bytes, expected, size) == 0)
            return number;
    }
    return WRONG;
}

/* Does a load give exactly payload `number`? */
static bool loads(uint32_t number, uint32_t size) {
    return loaded(number, number, size) == number;
}

static void start(uint32_t sector_size, uint32_t sectors, uint32_t unit) {
    memset(fake_store_bytes, 0x5A, sizeof fake_store_bytes); /* whatever was there before */
    fake_store_shape(sector_size, sectors, unit);
    fake_store_power(0, FAKE_TORN, 0);
    fake_store_heal();
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

/* Payloads of less than a unit, of just one and of a little more, whatever lies behind them. */
static void test_units(void) {
    for (uint32_t unit = 1; unit <= 32; unit *= 2) {
        start(256, 2, unit);
        for (uint32_t size = 1; size <= 2 * unit + 1; size++) {
            CHECK_EQUAL(STORE_OK, save(size, size));
            CHECK(loads(size, size));
        }
    }
}

/* A damaged record is told wherever it lies. */
static void test_a_damaged_record_is_told(void) {
    uint32_t size = 0;
    for (uint32_t slot = 0; slot < 2; slot++) {
        start(512, 8, 4);
        CHECK_EQUAL(STORE_OK, save(1, 100));
        CHECK_EQUAL(STORE_OK, save(2, 100)); /* in slot 1 */
        memset(&fake_store_bytes[2048 * (1 - slot)], 0x5A, 2048);
        fake_store_bytes[2048 * slot + 40] ^= 1;
        CHECK_EQUAL(STORE_DAMAGED, store_load(KEY, before, 100, &size));
    }
}

/* A header is read, its payload is not: that is no record, and a save finds out. */
static void test_payloads_that_cannot_be_read(void) {
    uint32_t size = 0;
    start(512, 8, 4);
    CHECK_EQUAL(STORE_OK, save(1, 100));
    fake_store_longest_read = 32; /* a header */
    CHECK_EQUAL(STORE_DAMAGED, store_load(KEY, before, 100, &size));
    CHECK_EQUAL(STORE_FAILED, save(2, 100));
    fake_store_longest_read = UINT32_MAX;
    CHECK_EQUAL(STORE_OK, save(3, 100));
    CHECK(loads(3, 100));
}

/* Change a word of the header in slot 1 (at 2048), whose CRC then fits it. */
static void change_header(uint32_t word, uint32_t value) {
    uint8_t *const header = &fake_store_bytes[2048];
    uint32_t crc = 0xFFFFFFFFu;
    memcpy(&header[4u * word], &value, sizeof value);
    for (uint32_t i = 0; i < 28; i++) {
        crc ^= header[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
    crc = ~crc;
    memcpy(&header[28], &crc, sizeof crc);
}

/* The sequence number may wrap. There is no way to save 2^32 times: what is newer is decided by
 * store_load() alone, from a header with the clock of sequence numbers set to its end. */
/* A read that fails is tried twice again, and not for ever. */
static void test_reads_are_tried_three_times(void) {
    uint32_t size = 0;
    start(512, 8, 4);
    CHECK_EQUAL(STORE_OK, save(1, 100)); /* in slot 0, which is looked at first */
    for (uint32_t failing = 0; failing < 4; failing++) {
        fake_store_failing_reads = failing;
        CHECK_EQUAL(failing < 3 ? STORE_OK : STORE_DAMAGED, store_load(KEY, before, 100, &size));
        CHECK_EQUAL(0, (int32_t)fake_store_failing_reads);
    }
}

static void test_sequence_wraps(void) {
    start(512, 8, 4);
    for (uint32_t i = 0; i < 2; i++)
        CHECK_EQUAL(STORE_OK, save(i, 40));
    CHECK_EQUAL(1, fake_store_bytes[2048 + 4]);
    change_header(1, UINT32_MAX);
    CHECK(loads(0, 40)); /* 0 is ahead of 2^32 - 1 */
    CHECK_EQUAL(STORE_OK, save(2, 40));
    CHECK(loads(2, 40));
}

/* Headers that no save writes, with a CRC that fits. */
static void test_impossible_sizes(void) {
    static const uint32_t sizes[] = {0, 2048 - 31, 4096, UINT32_MAX};
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint32_t size = 7;
        start(512, 8, 4);
        for (uint32_t number = 0; number < 2; number++)
            CHECK_EQUAL(STORE_OK, save(number, 40));
        change_header(3, sizes[i]);
        change_header(4, 0); /* the CRC of no bytes */
        CHECK(loads(0, 40));
        fake_store_bytes[0] ^= 1;
        CHECK_EQUAL(STORE_DAMAGED, store_load(KEY, before, UINT32_MAX, &size));
        CHECK_EQUAL(7, size);
    }
}

/* Save payload `number` over what is in `before`, cut at operation `cut`; then again, cut at
 * `second` (0: not), then whole. */
static void cut_once(uint32_t number, uint32_t size, fake_tearing how, uint32_t cut,
                     uint32_t second) {
    const uint32_t first = number == 0 ? 0 : number - 1;
    memcpy(fake_store_bytes, before, sizeof before);
    fake_store_heal();
    fake_store_power(cut, how, cut * 977u + number);
    CHECK_EQUAL(STORE_FAILED, save(number, size));
    CHECK_EQUAL(cut, fake_store_operations);
    fake_store_power(0, how, cut + 1u);
    uint32_t found = loaded(first, number, size);
    CHECK(found <= number || (number == 0 && found == NOTHING));
    if (second != 0) {
        fake_store_power(second, how, cut + 31u * second);
        const store_status status = save(number + 1, size);
        CHECK(status == STORE_FAILED || fake_store_operations < second);
        fake_store_power(0, how, second + 1u);
        found = loaded(first, number + 1, size);
        CHECK(found <= number + 1 || (number == 0 && found == NOTHING));
    }
    CHECK_EQUAL(STORE_OK, save(number + 2, size));
    CHECK(loads(number + 2, size));
    cut_points += second != 0 ? 2u : 1u;
}

/* Every operation of each of `saves` saves is cut once; those that program the header are followed
 * by a second save that is cut at each of its first and some of its other operations. */
static void cut_everywhere(uint32_t saves, uint32_t size, fake_tearing how) {
    for (uint32_t number = 0; number < saves; number++) {
        memcpy(before, fake_store_bytes, sizeof before);
        fake_store_power(0, how, 0);
        CHECK_EQUAL(STORE_OK, save(number, size));
        const uint32_t operations = fake_store_operations;
        CHECK(operations > size / 32u);
        for (uint32_t cut = 1; cut <= operations; cut++) {
            cut_once(number, size, how, cut, cut % 3u == 0 ? 1u + cut * 7u % operations : 0u);
            for (uint32_t second = 1; cut + 2u > operations && second <= 24u; second++)
                cut_once(number, size, how, cut, second);
        }
        memcpy(fake_store_bytes, before, sizeof before);
        fake_store_heal();
        fake_store_power(0, how, 0);
        CHECK_EQUAL(STORE_OK, save(number, size));
    }
}

static void test_power_cuts(void) {
    cut_points = 0;
    for (uint32_t how = 0; how < FAKE_TEARINGS; how++) {
        start(512, 8, 4);
        cut_everywhere(3, 600, (fake_tearing)how); /* two sectors, 160 operations a save */
        start(1024, 4, 1);
        cut_everywhere(3, 77, (fake_tearing)how);
        start(128, 5, 16); /* an odd sector is left over */
        cut_everywhere(4, 201, (fake_tearing)how);
        start(256, 2, 32);
        cut_everywhere(6, 224, (fake_tearing)how); /* the whole slot */
        start(512, 8, 8);
        cut_everywhere(4, 333, (fake_tearing)how);
    }
    CHECK(cut_points >= 5000);
}

/* The header's last unit of the newest record is half programmed: it may read well at every look.
 * A save makes it sure before it erases the older record. */
static void test_an_unstable_header_is_made_sure(void) {
    for (uint32_t luck = 0; luck < 64; luck++) {
        start(512, 8, 4);
        CHECK_EQUAL(STORE_OK, save(1, 50));
        CHECK_EQUAL(STORE_OK, save(2, 50));
        for (uint32_t i = 28; i < 32; i++)
            fake_store_weak[2048 + i] = (uint8_t)(luck & 1u ? ~fake_store_bytes[2048 + i] : 0x10);
        fake_store_power(luck % 16u + 1u, FAKE_UNSTABLE, luck);
        (void)save(3, 50);
        fake_store_power(0, FAKE_UNSTABLE, luck + 1u);
        CHECK(loaded(1, 3, 50) <= 3);
    }
}

/* Where a header cannot be programmed once more, the older record is kept, until the save is whole.
 */
static void test_a_flash_that_programs_once(void) {
    start(512, 8, 4);
    fake_store_once = true;
    CHECK_EQUAL(STORE_OK, save(1, 50));
    CHECK_EQUAL(STORE_OK, save(2, 50)); /* beside the only one */
    memcpy(before, fake_store_bytes, sizeof before);
    for (uint32_t cut = 1; cut <= 20; cut++) {
        memcpy(fake_store_bytes, before, sizeof before);
        fake_store_power(cut, FAKE_TORN, cut);
        CHECK_EQUAL(STORE_FAILED, save(3, 50));
        fake_store_power(0, FAKE_TORN, 0);
        CHECK(loaded(1, 2, 50) <= 2);
        CHECK_EQUAL(STORE_OK, save(4, 50));
        CHECK(loads(4, 50));
    }
    fake_store_heal();
}

/* Of two keys the record of the saved one is spared, not the newest of all. */
static void test_the_own_record_is_spared(void) {
    start(512, 8, 4);
    CHECK_EQUAL(STORE_OK, save(0, 50));
    CHECK_EQUAL(STORE_OK, store_save(KEY + 1, "other", 5));
    memcpy(before, fake_store_bytes, sizeof before);
    for (uint32_t cut = 1; cut <= 20; cut++) {
        memcpy(fake_store_bytes, before, sizeof before);
        fake_store_power(cut, FAKE_TORN, cut);
        CHECK_EQUAL(STORE_FAILED, save(1, 50));
        fake_store_power(0, FAKE_TORN, 0);
        CHECK(loads(0, 50));
    }
}

/* A flash that says that all went well, and it did not: the save reads back what it wrote. */
static void test_a_flash_that_lies(void) {
    start(512, 8, 4);
    CHECK_EQUAL(STORE_OK, save(1, 100));
    fake_store_tells = false;
    fake_store_ones[2048 + 77] = 0x24; /* bits that cannot be programmed */
    fake_store_zeros[2048 + 78] = 0x42;
    CHECK_EQUAL(STORE_FAILED, save(2, 100));
    CHECK(loads(1, 100));
    fake_store_heal();
    CHECK_EQUAL(STORE_OK, save(2, 100));
    CHECK_EQUAL(STORE_OK, save(3, 100));
    fake_store_tells = fake_store_erases = false;
    CHECK_EQUAL(STORE_FAILED, save(4, 100));
    CHECK(loads(3, 100));
}

/* Every single stuck bit of the other slot: the save works or says that it has not, and what was
 * there before is there still. */
static void test_stuck_bits(void) {
    start(128, 2, 8);
    CHECK_EQUAL(STORE_OK, save(1, 60));
    memcpy(before, fake_store_bytes, sizeof before);
    for (uint32_t bit = 0; bit < 128u * 8u; bit++) {
        for (uint32_t kind = 0; kind < 4; kind++) {
            memcpy(fake_store_bytes, before, sizeof before);
            fake_store_heal();
            (kind & 1u ? fake_store_ones : fake_store_zeros)[128 + bit / 8u] =
                (uint8_t)(1u << bit % 8u);
            fake_store_tells = kind >= 2;
            const store_status status = save(2, 60);
            CHECK(status == STORE_OK || status == STORE_FAILED);
            CHECK(loads(status == STORE_OK ? 2 : 1, 60));
        }
    }
    fake_store_heal();
}

/* The sectors of one slot are gone: the other one's record stays, whatever is tried. */
static void test_a_bad_slot(void) {
    for (uint32_t slot = 0; slot < 2; slot++) {
        start(256, 4, 4);
        CHECK_EQUAL(STORE_OK, save(1, 100));
        CHECK_EQUAL(STORE_OK, save(2, 100)); /* in slot 1 */
        for (uint32_t i = 0; i < 512; i++)
            fake_store_zeros[slot * 512 + i] = 0xFF;
        const uint32_t kept = slot == 0 ? 2 : 1;
        CHECK(loads(kept, 100));
        CHECK_EQUAL(STORE_FAILED, save(3, 100));
        CHECK(loads(kept, 100));
    }
    fake_store_heal();
}

/* Reads that are wrong now and then: no save loses the newest record. Where most are wrong, no load
 * gives a wrong one. */
static void test_noisy_reads(void) {
    start(512, 8, 4);
    for (uint32_t number = 0; number < 200; number++) {
        fake_store_noise = 4000;
        const bool saved = save(number, 100) == STORE_OK;
        const uint32_t seen = loaded(0, number, 100);
        fake_store_noise = 0;
        const uint32_t now = loaded(0, number, 100);
        CHECK(now == number || (!saved && now + 1u == number));
        CHECK_EQUAL(now, seen);
        fake_store_noise = 40;
        CHECK(loaded(0, number, 100) != WRONG);
        if (!saved) {
            fake_store_noise = 0;
            CHECK_EQUAL(STORE_OK, save(number, 100));
        }
    }
    fake_store_heal();
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

/* Both slots broken: that is told, nothing is loaded, and the next save works. */
static void test_nothing_left(void) {
    uint32_t size = 0;
    start(256, 4, 4);
    CHECK_EQUAL(STORE_EMPTY, store_load(KEY, before, sizeof before, &size));
    CHECK_EQUAL(STORE_OK, save(0, 100));
    CHECK_EQUAL(STORE_OK, save(1, 100));
    fake_store_bytes[1] ^= 4;         /* the magic */
    fake_store_bytes[512 + 131] ^= 4; /* the payload */
    memset(before, 0x77, sizeof before);
    CHECK_EQUAL(STORE_DAMAGED, store_load(KEY, before, sizeof before, &size));
    CHECK_EQUAL(0x77, before[0]);
    CHECK_EQUAL(STORE_OK, save(2, 100));
    CHECK(loads(2, 100));
    CHECK_EQUAL(STORE_OTHER, store_load(KEY + 1, before, sizeof before, &size));
    start(256, 4, 4);
    CHECK_EQUAL(STORE_OK, save(0, 100));
    fake_store_bytes[28] ^= 4; /* the header's CRC */
    CHECK_EQUAL(STORE_DAMAGED, store_load(KEY, before, sizeof before, &size));
    start(256, 4, 4);
    fake_store_longest_read = 31; /* not even a header */
    CHECK_EQUAL(STORE_DAMAGED, store_load(KEY, before, sizeof before, &size));
    fake_store_longest_read = UINT32_MAX;
}

/* A payload that reads well when it is looked at and otherwise when it is taken: it is not given,
 * but the older record is; and without one, nothing. */
static void test_what_is_taken_is_checked(void) {
    uint32_t size = 0, older = 0, failed = 0;
    for (uint32_t luck = 1; luck < 200; luck++) {
        start(256, 4, 4);
        CHECK_EQUAL(STORE_OK, save(1, 100));
        CHECK_EQUAL(STORE_OK, save(2, 100));
        fake_store_weak[512 + 40] = 0x03;
        fake_store_power(0, FAKE_TORN, luck * 7919u);
        const uint32_t found = loaded(1, 2, 100);
        CHECK(found == 1 || found == 2);
        older += found == 1;
        fake_store_weak[40] = 0x03;
        const store_status status = store_load(KEY, before, sizeof before, &size);
        CHECK(status == STORE_OK || status == STORE_FAILED || status == STORE_DAMAGED);
        failed += status == STORE_FAILED;
        CHECK(loaded(1, 2, 100) != WRONG);
    }
    CHECK(older > 0 && failed > 0);
    fake_store_heal();
}

int main(void) {
    check_begin();
    RUN(test_newest_is_loaded);
    RUN(test_what_is_refused);
    RUN(test_units);
    RUN(test_a_damaged_record_is_told);
    RUN(test_payloads_that_cannot_be_read);
    RUN(test_reads_are_tried_three_times);
    RUN(test_sequence_wraps);
    RUN(test_impossible_sizes);
    RUN(test_power_cuts);
    RUN(test_an_unstable_header_is_made_sure);
    RUN(test_a_flash_that_programs_once);
    RUN(test_the_own_record_is_spared);
    RUN(test_a_flash_that_lies);
    RUN(test_stuck_bits);
    RUN(test_a_bad_slot);
    RUN(test_noisy_reads);
    RUN(test_corrupted_bytes);
    RUN(test_nothing_left);
    RUN(test_what_is_taken_is_checked);
    return check_end();
}
