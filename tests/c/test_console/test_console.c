/* The console against people, programs and garbage: every command and frame is answered, with a
 * bounded answer, and what is refused changes nothing. The model is fake/small.c. */
#include "../check/check.h"

#include <string.h>

#include "console.h"
#include "crc32.h"
#include "fake_board.h"
#include "frame.h"
#include "inference.h"
#include "input.h"
#include "nano/nano.h"
#include "small.h"

#define WIRE_MAX (FRAME_MAX + 4u) /* bytes of a frame with its codes and delimiters */

static uint8_t input[SMALL_INPUT_SIZE];

static void feed(const void *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        console_feed(((const uint8_t *)bytes)[i]);
}

/* Send `text`; what the console answers is then in fake_sent. */
static void say(const char *text) {
    size_t size = 0;
    while (text[size] != '\0')
        size++;
    fake_clear();
    feed(text, size);
}

static int same(const char *expected) {
    size_t i = 0;
    while (expected[i] != '\0' && fake_sent[i] == (uint8_t)expected[i])
        i++;
    return expected[i] == '\0' && i == fake_sent_size;
}

static int answers(const char *command, const char *expected) {
    say(command);
    return same(expected);
}

static unsigned count(const char *text) {
    unsigned found = 0;
    for (size_t i = 0; i < fake_sent_size && i < FAKE_SENT_MAX; i++) {
        size_t k = 0;
        while (text[k] != '\0' && fake_sent[i + k] == (uint8_t)text[k])
            k++;
        found += text[k] == '\0';
    }
    return found;
}

/* Put a frame's wire bytes to `wire`; their number. The one encoder there is makes them. */
static size_t make_frame(uint8_t *wire, uint8_t type, uint32_t offset, const void *data,
                         uint16_t size) {
    fake_clear();
    frame_send(type, offset, data, size);
    const size_t length = fake_sent_size;
    memcpy(wire, fake_sent, length);
    fake_clear();
    return length;
}

static void send_frame(uint8_t type, uint32_t offset, const void *data, uint16_t size) {
    uint8_t wire[WIRE_MAX];
    const size_t length = make_frame(wire, type, offset, data, size);
    feed(wire, length);
}

static void load_input(void) {
    send_frame('I', 0, input, 256);
    send_frame('I', 256, &input[256], sizeof input - 256);
}

/* What must not change: the input, the output. */
typedef struct {
    uint32_t loaded, input, output;
    bool open;
} snapshot;

static snapshot take_snapshot(void) {
    const int8_t *const output = inference_output();
    const snapshot now = {
        input_loaded(),
        crc32_update(0, input_bytes(), SMALL_INPUT_SIZE),
        output == NULL ? 0 : crc32_update(0, output, SMALL_OUTPUT_SIZE),
        input_open(),
    };
    return now;
}

static bool unchanged(const snapshot *before) {
    const snapshot now = take_snapshot();
    return now.loaded == before->loaded && now.input == before->input &&
           now.output == before->output && now.open == before->open;
}

/* After one delimiter the console takes commands, whatever was before it. */
static bool in_step(void) {
    console_feed(0);
    return answers("name%", "m-name-dut-[nano]\r\nm-ready\r\n");
}

static void test_start(void) {
    CHECK_EQUAL(NANO_OK, inference_init());
    fake_clear();
    console_start();
    CHECK(same("m-init-done\r\nm-ready\r\n"));
}

static void test_before_any_input(void) {
    CHECK(answers("infer 1%", "e-[No input: 0 of 300 bytes loaded]\r\nm-ready\r\n"));
    CHECK(answers("layers%", "e-[No input: 0 of 300 bytes loaded]\r\nm-ready\r\n"));
    CHECK(answers("dump 0%", "e-[No input: 0 of 300 bytes loaded]\r\nm-ready\r\n"));
    CHECK(answers("dump%", "e-[No results yet]\r\nm-ready\r\n"));
    CHECK(answers("results%", "e-[No results yet]\r\nm-ready\r\n"));
    CHECK(answers("db print%", "m-ready\r\n"));
    CHECK(answers("db 00%", "e-[No load under way: begin with db load]\r\nm-ready\r\n"));
    CHECK(answers("crc%", "m-crc-image-[cbf43926]\r\nm-crc-input-[-]\r\nm-crc-output-[-]\r\n"
                          "m-ready\r\n"));
    CHECK_EQUAL(0, input_loaded());
}

static void test_line_ends(void) {
    const char *const name = "m-name-dut-[nano]\r\nm-ready\r\n";
    CHECK(answers("name%", name));
    CHECK(answers("name\r\n", name));
    CHECK(answers("name\n", name));
    CHECK(answers("\t name \r", name));
    CHECK(answers("%\r\n\n  %", ""));
}

static void test_simple_commands(void) {
    CHECK(answers("profile%", "m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\n"
                              "m-model-[small]\r\nm-ready\r\n"));
    CHECK(answers("timestamp%", "m-lap-us-4294967295\r\nm-ready\r\n"));
    CHECK(answers("mem%", "m-mem-arena-[304]\r\nm-mem-db-[300]\r\nm-mem-static-[20 200]\r\n"
                          "m-mem-stack-[3 30]\r\nm-mem-flash-[100 1000]\r\nm-ready\r\n"));
    CHECK(answers("info%", "m-info-version-[" NANO_VERSION_STRING "]\r\nm-info-abi-[2]\r\n"
                           "m-info-board-[fake]\r\nm-info-clock-[16000000]\r\n"
                           "m-info-ticks-[looks 1000]\r\nm-info-model-[small]\r\n"
                           "m-info-hash-[0123456789abcdef]\r\nm-info-ops-[2]\r\n"
                           "m-info-input-[10x30x1 3e800000 3 int8]\r\n"
                           "m-info-output-[4 3c000000 -1 int8]\r\nm-info-db-[int8 300]\r\n"
                           "m-info-frame-[256]\r\nm-ready\r\n"));
    say("help%");
    CHECK_EQUAL(15, count("\r\n")); /* fourteen commands */
    CHECK(answers("reset%", "m-ready\r\n"));
    CHECK_EQUAL(1, fake_resets);
}

static void test_refused_lines(void) {
    static const struct {
        const char *line, *answer;
    } cases[] = {
        {"bogus%", "e-[Unknown command: bogus]\r\nm-ready\r\n"},
        {"NAME%", "e-[Unknown command: NAME]\r\nm-ready\r\n"},
        {"name x%", "e-[Usage: name]\r\nm-ready\r\n"},
        {"profile x%", "e-[Usage: profile]\r\nm-ready\r\n"},
        {"timestamp x%", "e-[Usage: timestamp]\r\nm-ready\r\n"},
        {"help x%", "e-[Usage: help]\r\nm-ready\r\n"},
        {"results x%", "e-[Usage: results]\r\nm-ready\r\n"},
        {"info x%", "e-[Usage: info]\r\nm-ready\r\n"},
        {"mem x%", "e-[Usage: mem]\r\nm-ready\r\n"},
        {"layers x%", "e-[Usage: layers]\r\nm-ready\r\n"},
        {"crc x%", "e-[Usage: crc]\r\nm-ready\r\n"},
        {"reset x%", "e-[Usage: reset]\r\nm-ready\r\n"},
        {"dump 0 1%", "e-[Usage: dump [I]]\r\nm-ready\r\n"},
        {"time 1 2 3%", "e-[Usage: time [N [W]]]\r\nm-ready\r\n"},
        {"db load 300 0%", "e-[Usage: db load N | db HH... | db print]\r\nm-ready\r\n"},
        {"a b c d e f%", "e-[Unknown command: a]\r\nm-ready\r\n"},
        {"infer 1 2 3%", "e-[Usage: infer [N [W]]]\r\nm-ready\r\n"},
        {"infer 0%", "e-[Usage: infer [N [W]]]\r\nm-ready\r\n"},
        {"infer -1%", "e-[Usage: infer [N [W]]]\r\nm-ready\r\n"},
        {"infer 100001%", "e-[Usage: infer [N [W]]]\r\nm-ready\r\n"},
        {"infer 1 100001%", "e-[Usage: infer [N [W]]]\r\nm-ready\r\n"},
        {"dump x%", "e-[Usage: dump [I]]\r\nm-ready\r\n"},
        {"dump 2%", "e-[The model has ops 0 to 1]\r\nm-ready\r\n"},
        {"dump 4294967296%", "e-[Usage: dump [I]]\r\nm-ready\r\n"},
        {"db%", "e-[Usage: db load N | db HH... | db print]\r\nm-ready\r\n"},
        {"db load%", "e-[Usage: db load N | db HH... | db print]\r\nm-ready\r\n"},
        {"db load x%", "e-[Usage: db load N | db HH... | db print]\r\nm-ready\r\n"},
        {"db load 299%", "e-[The input has 300 bytes]\r\nm-ready\r\n"},
        {"db load 301%", "e-[The input has 300 bytes]\r\nm-ready\r\n"},
        {"db 0%", "e-[Not an even number of hex digits]\r\nm-ready\r\n"},
        {"db 0g%", "e-[Not an even number of hex digits]\r\nm-ready\r\n"},
        {"db print 1%", "e-[Usage: db load N | db HH... | db print]\r\nm-ready\r\n"},
        {"na\177me%", "e-[Line holds an unprintable byte]\r\nm-ready\r\n"},
        {"\200%", "e-[Line holds an unprintable byte]\r\nm-ready\r\n"},
    };
    const snapshot before = take_snapshot();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        CHECK_EQUAL(1, answers(cases[i].line, cases[i].answer) ? 1 : -(int)i);
    CHECK(unchanged(&before));
}

static void test_line_length(void) {
    char line[98];
    memset(line, ' ', sizeof line);
    memcpy(line, "name", 4);
    line[95] = '%';
    line[96] = '\0';
    CHECK(answers(line, "m-name-dut-[nano]\r\nm-ready\r\n"));
    line[95] = ' ';
    line[96] = '%';
    line[97] = '\0';
    CHECK(answers(line, "e-[Line longer than 95 bytes]\r\nm-ready\r\n"));
    fake_clear();
    for (int32_t i = 0; i < 70000; i++)
        console_feed('x');
    CHECK_EQUAL(0, fake_sent_size);
    CHECK(answers("%", "e-[Line longer than 95 bytes]\r\nm-ready\r\n"));
    CHECK(answers("name%", "m-name-dut-[nano]\r\nm-ready\r\n"));
}

static void test_load_in_hex(void) {
    CHECK(answers("db load 300%", "m-[Expecting 300 bytes]\r\nm-ready\r\n"));
    CHECK(answers("db 00fF7A%", "m-ready\r\n"));
    CHECK(answers("db print%", "m-buffer-00-ff-7a\r\nm-ready\r\n"));
    CHECK(answers("infer 1%", "e-[No input: 3 of 300 bytes loaded]\r\nm-ready\r\n"));
    for (int i = 3; i < 291; i += 32)
        CHECK(answers("db 0000000000000000000000000000000000000000000000000000000000000000%",
                      "m-ready\r\n"));
    CHECK_EQUAL(291, input_loaded());
    /* The 300th byte ends it; what the line holds beyond that is ignored. */
    CHECK(answers("db 010203040506070809ffff%", "m-load-done\r\nm-ready\r\n"));
    CHECK_EQUAL(9, input_bytes()[299]);
    const snapshot before = take_snapshot();
    CHECK(answers("db 11%", "e-[No load under way: begin with db load]\r\nm-ready\r\n"));
    CHECK(unchanged(&before));
    say("db print%");
    CHECK_EQUAL(38, count("m-buffer-"));
    CHECK_EQUAL(1, count("m-buffer-06-07-08-09\r\nm-ready\r\n"));
}

static void test_inference(void) {
    for (int i = 0; i < SMALL_INPUT_SIZE; i++)
        input[i] = (uint8_t)i;
    load_input();
    const char *const once = "m-warmup-start-0\r\nm-warmup-done\r\nm-infer-start-1\r\n"
                             "m-lap-us-4294967295\r\nm-lap-us-4294967295\r\nm-infer-done\r\n"
                             "m-results-[0.000,-0.008,-0.016,-0.023]\r\nm-ready\r\n";
    CHECK(answers("infer 1 0%", once));
    /* The model flips its input in place: an even number of runs must not flip it back. */
    CHECK(answers("infer 2 5%", "m-warmup-start-5\r\nm-warmup-done\r\nm-infer-start-2\r\n"
                                "m-lap-us-4294967295\r\nm-lap-us-4294967295\r\nm-infer-done\r\n"
                                "m-results-[0.000,-0.008,-0.016,-0.023]\r\nm-ready\r\n"));
    say("infer%");
    CHECK_EQUAL(1, count("m-warmup-start-10\r\n"));
    CHECK_EQUAL(1, count("m-infer-start-1\r\n"));
    CHECK(answers("results%", "m-results-[0.000,-0.008,-0.016,-0.023]\r\nm-ready\r\n"));
}

static void test_layers(void) {
    CHECK(answers("layers%", "m-layer-[0 7 93826bbd flip]\r\nm-layer-[1 7 5502a6f0 head]\r\n"
                             "m-layers-[2 7]\r\nm-ready\r\n"));
}

/* Read the frames of a dump back; false if one is bad or out of place. */
static bool read_dump(uint8_t *tensor, size_t size) {
    uint8_t bytes[FRAME_MAX];
    size_t at = 0;
    for (size_t i = 0; at < size && i < fake_sent_size;) {
        frame_decoder decoder;
        frame_view view;
        if (fake_sent[i++] != 0)
            return false;
        frame_begin(&decoder, bytes);
        while (i < fake_sent_size && fake_sent[i] != 0)
            frame_feed(&decoder, fake_sent[i++]);
        i++;
        if (frame_end(&decoder, &view) != FRAME_OK || view.type != 'T' || view.offset != at ||
            view.size > size - at)
            return false;
        memcpy(&tensor[at], view.data, view.size);
        at += view.size;
    }
    return at == size;
}

static void test_dump(void) {
    uint8_t tensor[SMALL_INPUT_SIZE];
    load_input();
    say("dump 0%");
    CHECK(read_dump(tensor, SMALL_INPUT_SIZE));
    for (int i = 0; i < SMALL_INPUT_SIZE; i++)
        CHECK_EQUAL((uint8_t)~input[i], tensor[i]);
    CHECK_EQUAL(1, count("m-dump-[0 300 93826bbd]\r\nm-ready\r\n"));
    say("dump 1%");
    CHECK(read_dump(tensor, SMALL_OUTPUT_SIZE));
    CHECK_EQUAL(1, count("m-dump-[1 4 5502a6f0]\r\nm-ready\r\n"));
    say("dump%");
    CHECK(read_dump(tensor, SMALL_OUTPUT_SIZE));
    CHECK_EQUAL(1, count("m-dump-[- 4 5502a6f0]\r\nm-ready\r\n"));
}

/* dump I ends the inference it began: the newest output is that of the input it ran on. */
static void test_dump_leaves_a_result(void) {
    input[0] ^= 0xff;
    load_input();
    CHECK(answers("results%", "m-results-[0.000,-0.008,-0.016,-0.023]\r\nm-ready\r\n"));
    say("dump 0%");
    CHECK(answers("results%", "m-results-[0.008,-0.008,-0.016,-0.023]\r\nm-ready\r\n"));
    CHECK_EQUAL(1, answers("infer 1 0%", "") ? 0 : 1);
    CHECK_EQUAL(1, count("m-results-[0.008,-0.008,-0.016,-0.023]\r\n"));
    input[0] ^= 0xff;
    load_input();
}

static void test_load_in_frames(void) {
    send_frame('I', 0, input, 256);
    CHECK(same("m-frame-[0 256]\r\nm-ready\r\n"));
    CHECK(!input_whole());
    send_frame('I', 256, &input[256], 43);
    CHECK(same("m-frame-[256 43]\r\nm-ready\r\n"));
    send_frame('I', 299, &input[299], 1);
    CHECK(same("m-frame-[299 1]\r\nm-load-done\r\nm-ready\r\n"));
    CHECK_EQUAL(0, memcmp(input_bytes(), input, sizeof input));
    say("crc%");
    CHECK_EQUAL(1, count("m-crc-input-["));
    CHECK_EQUAL(0, count("m-crc-input-[-]"));
}

/* Hex and frames go to the same place, one behind the other. */
static void test_load_in_both_ways(void) {
    say("db load 300%db 0102%");
    send_frame('I', 2, &input[2], 256);
    CHECK(same("m-frame-[2 256]\r\nm-ready\r\n"));
    CHECK(answers("db 77%", "m-ready\r\n"));
    CHECK_EQUAL(259, input_loaded());
    load_input();
    CHECK(input_whole());
}

static void test_frames_refused(void) {
    uint8_t wire[WIRE_MAX];
    send_frame('I', 0, input, 100);
    const snapshot before = take_snapshot();
    send_frame('T', 0, input, 10);
    CHECK(same("e-[Frame of type 84 is not for the board]\r\nm-ready\r\n"));
    send_frame('I', 99, input, 10);
    CHECK(same("e-[Frame out of place: the next byte is 100]\r\nm-ready\r\n"));
    send_frame('I', 101, input, 10);
    CHECK(same("e-[Frame out of place: the next byte is 100]\r\nm-ready\r\n"));
    send_frame('I', 0xffffff, input, 10);
    CHECK(same("e-[Frame out of place: the next byte is 100]\r\nm-ready\r\n"));
    send_frame('I', 100, input, 201);
    CHECK(same("e-[Frame reaches past the input's 300 bytes]\r\nm-ready\r\n"));
    const size_t length = make_frame(wire, 'I', 100, input, 10);
    wire[length - 2] ^= 0x40;
    feed(wire, length);
    CHECK(same("e-[Frame fails its CRC]\r\nm-ready\r\n"));
    /* An offset of 2^24 and more does not even begin like a frame. */
    send_frame('I', 0x01020304, input, 10);
    CHECK(same("e-[Frame damaged]\r\nm-ready\r\n"));
    say("");
    feed("\0\2I\0", 4);
    CHECK(same("e-[Frame too short]\r\nm-ready\r\n"));
    CHECK(unchanged(&before));
    CHECK(in_step());
    load_input();
}

static void test_delimiters_alone(void) {
    const snapshot before = take_snapshot();
    fake_clear();
    feed("\0\0\0\0\0", 5);
    CHECK_EQUAL(0, fake_sent_size);
    CHECK(answers("name%", "m-name-dut-[nano]\r\nm-ready\r\n"));
    say("nam");
    feed("\0", 1);
    CHECK(same("e-[Line cut short by a frame]\r\nm-ready\r\n"));
    CHECK(answers("\n\nname\n", "m-name-dut-[nano]\r\nm-ready\r\n"));
    CHECK(unchanged(&before));
}

/* Each bit of a frame flipped, delimiters included: an error or nothing, and the next delimiter
 * brings the console back in step. */
static void test_corrupted_frames(void) {
    uint8_t wire[WIRE_MAX];
    const uint8_t data[] = {0, 0xff, '\n', 'n', 'a', 'm', 'e', '%', 0, 0, 1, 2, 3, 0x80, 0x7f};
    send_frame('I', 0, input, 100);
    const snapshot before = take_snapshot();
    const size_t length = make_frame(wire, 'I', 100, data, sizeof data);
    for (size_t i = 0; i < length; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            wire[i] ^= (uint8_t)(1u << bit);
            fake_clear();
            feed(wire, length);
            const unsigned answered = count("m-ready\r\n");
            CHECK_EQUAL(0, count("m-frame"));
            CHECK(answered <= 4);
            CHECK(answered >= 1 || i == length - 1); /* no answer before a frame's end */
            CHECK(fake_sent_size < 400);
            CHECK(in_step());
            CHECK(unchanged(&before));
            wire[i] ^= (uint8_t)(1u << bit);
        }
    }
    fake_clear();
    feed(wire, length);
    CHECK(same("m-frame-[100 15]\r\nm-ready\r\n"));
    load_input();
}

static void test_truncated_frames(void) {
    uint8_t wire[WIRE_MAX];
    send_frame('I', 0, input, 100);
    const snapshot before = take_snapshot();
    const size_t length = make_frame(wire, 'I', 100, input, 20);
    for (size_t cut = 2; cut < length - 1; cut++) {
        fake_clear();
        feed(wire, cut);
        CHECK_EQUAL(0, fake_sent_size);
        console_feed(0);
        CHECK_EQUAL(1, count("e-[Frame "));
        CHECK_EQUAL(1, count("m-ready\r\n"));
        CHECK(unchanged(&before));
        CHECK(in_step());
    }
    load_input();
}

static void test_endless_frame(void) {
    const snapshot before = take_snapshot();
    fake_clear();
    feed("\0\2", 2);
    for (int32_t i = 0; i < 70000; i++)
        console_feed('x');
    CHECK_EQUAL(0, fake_sent_size);
    console_feed(0);
    CHECK(same("e-[Frame too long]\r\nm-ready\r\n"));
    CHECK(in_step());
    /* A line's end is enough, too, once the longest frame would have been over. */
    feed("\0\2", 2);
    for (int i = 0; i < 300; i++)
        console_feed('x');
    CHECK(answers("\n", "e-[Frame too long]\r\nm-ready\r\n"));
    CHECK(answers("name\n", "m-name-dut-[nano]\r\nm-ready\r\n"));
    CHECK(unchanged(&before));
}

/* Random bytes, of several kinds. A valid command that changes something, or a frame with its CRC,
 * does not come up by chance. */
static void test_garbage(void) {
    static const char letters[] = "dbinfercsult%\r\n 0123456789";
    uint32_t random = 2026;
    const snapshot before = take_snapshot();
    for (int round = 0; round < 1500; round++) {
        const int kind = round % 3;
        const int size = check_between(&random, 0, 400);
        unsigned ends = 0;
        fake_clear();
        for (int i = 0; i < size; i++) {
            const uint32_t draw = check_random(&random) >> 4;
            const uint8_t byte = kind == 0   ? (uint8_t)draw
                                 : kind == 1 ? (uint8_t)letters[draw % (sizeof letters - 1)]
                                             : (uint8_t)(draw % 8u);
            ends += byte == 0 || byte == '%' || byte == '\r' || byte == '\n';
            console_feed(byte);
        }
        CHECK(count("m-ready\r\n") <= ends);
        CHECK(unchanged(&before));
        CHECK(in_step());
    }
}

/* Is what was sent at `at` this text? Moves `at` behind it. */
static bool takes(size_t *at, const char *text) {
    while (*text != '\0' && *at < fake_sent_size && fake_sent[*at] == (uint8_t)*text) {
        ++*at;
        ++text;
    }
    return *text == '\0';
}

static bool takes_number(size_t *at, uint32_t value, uint32_t base) {
    char digits[12];
    char *first = &digits[11];
    *first = '\0';
    for (unsigned i = 0; base == 16 ? i < 8 : i == 0 || value != 0; i++) {
        *--first = "0123456789abcdef"[value % base];
        value /= base;
    }
    return takes(at, first);
}

/* Send a bound command: is it answered by `body` and the end that belongs to both? */
static bool bound(uint32_t number, const char *command, uint16_t size, const char *body) {
    uint8_t asked[FRAME_MAX] = {'C', (uint8_t)number, (uint8_t)(number >> 8),
                                (uint8_t)(number >> 16)};
    size_t at = 0;
    memcpy(&asked[FRAME_HEAD], command, size);
    send_frame('C', number, command, size);
    const bool begins = takes(&at, body);
    const uint32_t crc = crc32_update(crc32_update(0, asked, FRAME_HEAD + size), fake_sent, at);
    return begins && takes(&at, "m-ready-[") && takes_number(&at, number, 10) && takes(&at, " ") &&
           takes_number(&at, crc, 16) && takes(&at, "]\r\n") && at == fake_sent_size;
}

#define BOUND(number, command, body)                                                               \
    CHECK(bound(number, command, (uint16_t)(sizeof(command) - 1), body))

static void test_bound_commands(void) {
    const char *const name = "m-name-dut-[nano]\r\n";
    const char *const out = "e-[Out of turn]\r\n";
    BOUND(1, "name", out); /* nothing is bound yet */
    BOUND(0xfffffe, "bind", "m-bind-[1]\r\n");
    BOUND(0xfffffe, "bind", "m-bind-[1]\r\n");
    BOUND(0xffffff, "name", name);
    BOUND(0xffffff, "profile", out); /* a repeat would be the same command */
    BOUND(1, "name", out);
    BOUND(0, "name", name); /* behind the last number comes 0 */
    BOUND(1, "%", "e-[Unknown command: %]\r\n");
    BOUND(2, "bogus", "e-[Unknown command: bogus]\r\n");
    CHECK(answers("bogus%", "e-[Unknown command: bogus]\r\nm-ready\r\n"));
    BOUND(3, "name", name);
    CHECK(answers("name%", "m-name-dut-[nano]\r\nm-ready\r\n")); /* ends the conversation */
    BOUND(4, "name", out);
}

static void test_bound_pieces(void) {
    BOUND(9, "bind", "m-bind-[1]\r\n");
    BOUND(10, "I 0\0abcd", "m-frame-[0 4]\r\n");
    BOUND(11, "I 4\0efgh", "m-frame-[4 4]\r\n");
    BOUND(11, "I 4\0efgh", "m-frame-[4 4]\r\n"); /* is not appended twice */
    CHECK_EQUAL(8, input_loaded());
    BOUND(12, "I\0x", "e-[Frame damaged]\r\n");
    BOUND(13, "I 5\0x", "e-[Frame out of place: the next byte is 8]\r\n");
    BOUND(14, "I 8\0ijkl", "m-frame-[8 4]\r\n");
    BOUND(15, "I 12\0mnop", "m-frame-[12 4]\r\n");  /* an offset of two digits */
    BOUND(16, "II 16\0q", "e-[Frame damaged]\r\n"); /* a type of two letters */
    CHECK_EQUAL(16, input_loaded());
    send_frame('I', 8, input, 1); /* a plain one ends the conversation */
    BOUND(17, "name", "e-[Out of turn]\r\n");
    load_input();
}

/* What is asked again because its answer was lost: short answers are kept, long ones are made
 * anew. */
static void test_bound_repeats(void) {
    BOUND(20, "bind", "m-bind-[1]\r\n");
    BOUND(21, "db load 300", "m-[Expecting 300 bytes]\r\n");
    BOUND(22, "db 01", "");
    BOUND(22, "db 01", "");
    CHECK_EQUAL(1, input_loaded());
    send_frame('C', 23, "help", 4);
    const size_t size = fake_sent_size;
    send_frame('C', 23, "help", 4);
    CHECK_EQUAL((int32_t)size, (int32_t)fake_sent_size);
    load_input();
}

int main(void) {
    check_begin();
    RUN(test_start);
    RUN(test_before_any_input);
    RUN(test_line_ends);
    RUN(test_simple_commands);
    RUN(test_refused_lines);
    RUN(test_line_length);
    RUN(test_load_in_hex);
    RUN(test_inference);
    RUN(test_layers);
    RUN(test_dump);
    RUN(test_dump_leaves_a_result);
    RUN(test_load_in_frames);
    RUN(test_load_in_both_ways);
    RUN(test_frames_refused);
    RUN(test_delimiters_alone);
    RUN(test_corrupted_frames);
    RUN(test_truncated_frames);
    RUN(test_endless_frame);
    RUN(test_garbage);
    RUN(test_bound_commands);
    RUN(test_bound_pieces);
    RUN(test_bound_repeats);
    return check_end();
}
