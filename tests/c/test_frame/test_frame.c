/* Frames: what goes out comes in again, and what is damaged does not. */
#include "../check/check.h"

#include <string.h>

#include "crc32.h"
#include "fake_board.h"
#include "frame.h"

static uint8_t decoded[FRAME_MAX];
static uint8_t data[FRAME_MAX_DATA];

/* Decode what was sent, but for its delimiters. */
static frame_status decode_sent(frame_view *view) {
    frame_decoder decoder;
    frame_begin(&decoder, decoded);
    for (size_t i = 1; i + 1 < fake_sent_size; i++)
        frame_feed(&decoder, fake_sent[i]);
    return frame_end(&decoder, view);
}

static void fill(uint32_t *random, unsigned zeros) {
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = check_random(random) % 100u < zeros ? 0 : (uint8_t)(check_random(random) >> 8);
}

/* Computed with Python's zlib and cobs. */
static void test_known_frames(void) {
    static const int8_t one[] = {0,    0x02, 0x54, 0x01, 0x01, 0x01, 0x06,
                                 0x01, -44,  -37,  -38,  0x51, 0};
    static const int8_t three[] = {0,    0x05, 0x54, 0x03, 0x02, 0x01, 0x01, 0x07,
                                   0x01, 0x02, 0x1e, -32,  0x1b, 0x02, 0};
    const uint8_t bytes[] = {0, 1, 2};
    fake_clear();
    frame_send('T', 0, &bytes[1], 1);
    CHECK_EQUAL(sizeof one, fake_sent_size);
    CHECK_BYTES(one, (const int8_t *)fake_sent, sizeof one);
    fake_clear();
    frame_send('T', 0x010203, bytes, 3);
    CHECK_EQUAL(sizeof three, fake_sent_size);
    CHECK_BYTES(three, (const int8_t *)fake_sent, sizeof three);
}

static void test_round_trip(void) {
    uint32_t random = 99;
    frame_view view;
    for (uint16_t size = 1; size <= FRAME_MAX_DATA; size++) {
        fill(&random, (unsigned)check_between(&random, 0, 100));
        const uint32_t offset = check_random(&random) >> (check_random(&random) % 32u);
        fake_clear();
        frame_send('I', offset, data, size);
        CHECK(fake_sent_size <= FRAME_MAX + 4u);
        for (size_t i = 1; i + 1 < fake_sent_size; i++)
            CHECK(fake_sent[i] != 0);
        if (offset < 1u << 24)
            CHECK(fake_sent[1] >= FRAME_FIRST_MIN && fake_sent[1] <= FRAME_FIRST_MAX);
        CHECK_EQUAL(FRAME_OK, decode_sent(&view));
        CHECK_EQUAL('I', view.type);
        CHECK(view.offset == offset);
        CHECK_EQUAL(size, view.size);
        CHECK_EQUAL(0, memcmp(view.data, data, size));
    }
}

/* Pieces of exactly 253, 254 and 255 bytes, with and without a zero behind. */
static void test_long_pieces(void) {
    frame_view view;
    for (size_t zero = 0; zero <= sizeof data; zero++) {
        memset(data, 0x55, sizeof data);
        if (zero < sizeof data)
            data[zero] = 0;
        fake_clear();
        frame_send('I', 0x01010101, data, sizeof data);
        CHECK_EQUAL(FRAME_OK, decode_sent(&view));
        CHECK_EQUAL(sizeof data, view.size);
        CHECK_EQUAL(0, memcmp(view.data, data, sizeof data));
    }
}

static void test_every_bit_counts(void) {
    frame_view view = {0, 0, NULL, 0, 0};
    uint32_t random = 5;
    fill(&random, 20);
    fake_clear();
    frame_send('I', 256, data, 40);
    for (size_t i = 1; i + 1 < fake_sent_size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            fake_sent[i] ^= (uint8_t)(1u << bit);
            if (fake_sent[i] != 0)
                CHECK(decode_sent(&view) != FRAME_OK);
            fake_sent[i] ^= (uint8_t)(1u << bit);
        }
    }
    CHECK(view.data == NULL);
    CHECK_EQUAL(FRAME_OK, decode_sent(&view));
}

static void test_truncated(void) {
    frame_view view;
    uint32_t random = 6;
    fill(&random, 20);
    fake_clear();
    frame_send('I', 0, data, 30);
    for (fake_sent_size--; fake_sent_size >= 2; fake_sent_size--)
        CHECK(decode_sent(&view) != FRAME_OK);
}

static void test_too_long_stays_inside(void) {
    struct {
        uint8_t bytes[FRAME_MAX];
        uint8_t guard;
    } room = {{0}, 0xA5};
    frame_view view;
    frame_decoder decoder;
    for (int filler = 1; filler < 256; filler += 127) {
        frame_begin(&decoder, room.bytes);
        for (int32_t i = 0; i < 70000; i++)
            frame_feed(&decoder, (uint8_t)filler);
        CHECK_EQUAL(FRAME_LONG, frame_end(&decoder, &view));
        CHECK_EQUAL(0xA5, room.guard);
    }
}

static void test_empty_and_short(void) {
    frame_view view;
    frame_decoder decoder;
    frame_begin(&decoder, decoded);
    CHECK_EQUAL(FRAME_SHORT, frame_end(&decoder, &view));
    frame_feed(&decoder, 1);
    CHECK_EQUAL(FRAME_SHORT, frame_end(&decoder, &view));
    frame_feed(&decoder, 5);
    CHECK_EQUAL(FRAME_DAMAGED, frame_end(&decoder, &view));
}

/* A head and a CRC that fits it, and no data between: one byte decides. */
static void test_no_data(void) {
    static const uint8_t type_and_offset[FRAME_HEAD] = {'T', 1, 2, 3, 4};
    for (uint16_t size = 0; size < 2; size++) {
        uint8_t message[FRAME_HEAD + 1 + FRAME_TAIL];
        frame_view view;
        frame_decoder decoder;
        memcpy(message, type_and_offset, FRAME_HEAD);
        message[FRAME_HEAD] = 9;
        const uint32_t crc = crc32_update(0, message, FRAME_HEAD + size);
        for (uint32_t i = 0; i < FRAME_TAIL; i++)
            message[FRAME_HEAD + size + i] = (uint8_t)(crc >> 8 * i);
        const uint32_t whole = FRAME_HEAD + size + FRAME_TAIL;
        frame_begin(&decoder, decoded);
        frame_feed(&decoder, (uint8_t)(whole + 1u));
        for (uint32_t i = 0; i < whole; i++) {
            CHECK(message[i] != 0);
            frame_feed(&decoder, message[i]);
        }
        CHECK_EQUAL(size == 0 ? FRAME_SHORT : FRAME_OK, frame_end(&decoder, &view));
    }
}

int main(void) {
    check_begin();
    RUN(test_known_frames);
    RUN(test_round_trip);
    RUN(test_long_pieces);
    RUN(test_every_bit_counts);
    RUN(test_truncated);
    RUN(test_too_long_stays_inside);
    RUN(test_empty_and_short);
    RUN(test_no_data);
    return check_end();
}
