/* Text out: numbers, and decimals computed without floats. */
#include "../check/check.h"

#include <string.h>

#include "crc32.h"
#include "fake_board.h"
#include "format.h"
#include "parse.h"

/* Does what was sent read so? It is cleared. */
static int sent(const char *expected) {
    const size_t size = fake_sent_size;
    size_t i = 0;
    while (expected[i] != '\0' && fake_sent[i] == (uint8_t)expected[i])
        i++;
    const int same = expected[i] == '\0' && i == size;
    fake_clear();
    return same;
}

static void test_unsigned(void) {
    put_unsigned(0);
    CHECK(sent("0"));
    put_unsigned(10);
    CHECK(sent("10"));
    put_unsigned(4294967295u);
    CHECK(sent("4294967295"));
}

static void test_signed(void) {
    put_signed(0);
    CHECK(sent("0"));
    put_signed(-1);
    CHECK(sent("-1"));
    put_signed(INT32_MAX);
    CHECK(sent("2147483647"));
    put_signed(INT32_MIN);
    CHECK(sent("-2147483648"));
}

static void test_hex(void) {
    put_hex(0xdeadbeefu, 8);
    CHECK(sent("deadbeef"));
    put_hex(0x123u, 2);
    CHECK(sent("23"));
    put_hex(0, 8);
    CHECK(sent("00000000"));
}

static void test_lines(void) {
    put_open("m-model");
    put_text("x");
    put_close();
    CHECK(sent("m-model-[x]\r\n"));
    put_error("No");
    CHECK(sent("e-[No]\r\n"));
}

/* The expected texts were computed with exact fractions, halves away from zero. */
static void test_decimal(void) {
    static const struct {
        uint32_t scale;
        int32_t steps;
        const char *text;
    } cases[] = {
        {0x3b800000u, 0, "0.000"},            /* 1/256 */
        {0x3b800000u, 255, "0.996"},          /* 0.99609375 */
        {0x3b800000u, -255, "-0.996"},        /* and its mirror */
        {0x3b800000u, 1, "0.004"},            /* 0.00390625 */
        {0x3f800000u, 255, "255.000"},        /* 1.0 */
        {0x3f7fffffu, 1, "1.000"},            /* 0.99999994: the carry */
        {0x3a000000u, 1, "0.000"},            /* 1/2048 = 0.00048828125 */
        {0x3a000000u, 2, "0.001"},            /* 0.0009765625 */
        {0x3a000000u, -1, "0.000"},           /* no minus before zero */
        {0x3d800000u, 1, "0.063"},            /* 1/16 = 0.0625: a half, up */
        {0x3d800000u, -1, "-0.063"},          /* and away from zero */
        {0x3c000000u, 17, "0.133"},           /* 0.1328125 */
        {0x3d4ccccdu, 3, "0.150"},            /* 0.05f * 3 = 0.15000000223 */
        {0x00000001u, 255, "0.000"},          /* the smallest subnormal */
        {0x007fffffu, -255, "0.000"},         /* the largest one */
        {0x4b000000u, 1, "8388608.000"},      /* 2^23: no bit behind the point, none beyond */
        {0x4b7fffffu, 1, "16777215.000"},     /* 2^24 - 1 */
        {0x4b800000u, 255, "4278190080.000"}, /* 2^24 * 255 */
        {0x4c800000u, 255, "4294967295.999"}, /* beyond what is shown */
        {0x4f7fffffu, 1, "4294967040.000"},   /* 2^32 - 256 */
        {0x4f800000u, 1, "4294967295.999"},   /* 2^32 */
        {0x7f7fffffu, -255, "-4294967295.999"},
        {0x7f800000u, 1, "4294967295.999"}, /* infinity */
        {0x7fc00000u, 1, "4294967295.999"}, /* NaN */
        {0x7f7fffffu, 0, "0.000"},
        {0xbf800000u, 2, "-2.000"}, /* a negative scale */
        {0xbf800000u, -2, "2.000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_decimal(cases[i].scale, cases[i].steps);
        const int same = sent(cases[i].text);
        CHECK_EQUAL(1, same ? 1 : -(int)i);
    }
}

/* All exponents, many mantissas: the thousandths are those of the double product, which is exact
 * (24 + 8 bits), and whose thousandfold is, too (below 53 bits). */
static void test_decimal_against_double(void) {
    uint32_t random = 1;
    for (int i = 0; i < 5000; i++) {
        const uint32_t field = (uint32_t)check_between(&random, 90, 150);
        const uint32_t bits = field << 23 | check_random(&random) >> 9;
        const int32_t steps = check_between(&random, -255, 255);
        float scale;
        memcpy(&scale, &bits, sizeof scale);
        const double exact = (double)scale * (steps < 0 ? -steps : steps) * 1000.0;
        if (exact >= 4e9)
            continue;
        const uint32_t thousandths = (uint32_t)(exact + 0.5);

        put_decimal(bits, steps);
        uint32_t shown = 0;
        for (size_t k = 0; k < fake_sent_size; k++) {
            const unsigned digit = fake_sent[k] - (unsigned)'0';
            shown = digit <= 9 ? shown * 10u + digit : shown;
        }
        CHECK(fake_sent[fake_sent_size - 4] == '.');
        CHECK_EQUAL(steps < 0 && thousandths != 0, fake_sent[0] == '-');
        CHECK_EQUAL(thousandths, shown);
        fake_clear();
    }
}

static void test_crc(void) {
    static const char digits[] = "123456789";
    CHECK_EQUAL((int32_t)0xcbf43926u, (int32_t)crc32_update(0, digits, 9));
    CHECK_EQUAL(0, crc32_update(0, NULL, 0));
    for (size_t cut = 0; cut <= 9; cut++) {
        const uint32_t first = crc32_update(0, digits, cut);
        CHECK_EQUAL((int32_t)0xcbf43926u, (int32_t)crc32_update(first, digits + cut, 9 - cut));
    }
}

static void test_parse_unsigned(void) {
    uint32_t value = 77;
    CHECK(!parse_unsigned("", UINT32_MAX, &value));
    CHECK(!parse_unsigned("-1", UINT32_MAX, &value));
    CHECK(!parse_unsigned("+1", UINT32_MAX, &value));
    CHECK(!parse_unsigned("1x", UINT32_MAX, &value));
    CHECK(!parse_unsigned("0x10", UINT32_MAX, &value));
    CHECK(!parse_unsigned("4294967296", UINT32_MAX, &value));
    CHECK(!parse_unsigned("99999999999999999999", UINT32_MAX, &value));
    CHECK(!parse_unsigned("100001", 100000, &value));
    CHECK(!parse_unsigned("7", 5, &value));
    CHECK(!parse_unsigned("17", 5, &value));
    CHECK_EQUAL(77, value);
    CHECK(parse_unsigned("100000", 100000, &value));
    CHECK_EQUAL(100000, value);
    CHECK(parse_unsigned("007", 7, &value));
    CHECK_EQUAL(7, value);
    CHECK(parse_unsigned("4294967295", UINT32_MAX, &value));
    CHECK(value == UINT32_MAX);
}

static void test_parse_hex_digit(void) {
    for (int c = 0; c < 256; c++) {
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        CHECK_EQUAL(digit, parse_hex_digit((char)c));
    }
}

static void test_split_words(void) {
    char line[] = "  infer  10 2 ";
    char *words[3];
    CHECK_EQUAL(3, split_words(line, words, 3));
    CHECK(same_text(words[0], "infer"));
    CHECK(same_text(words[1], "10"));
    CHECK(same_text(words[2], "2"));
    char blank[] = "   ";
    CHECK_EQUAL(0, split_words(blank, words, 3));
    char many[] = "a b c d e";
    CHECK_EQUAL(4, split_words(many, words, 3));
    CHECK(same_text(words[2], "c"));
    CHECK(!same_text("db", "dba"));
    CHECK(!same_text("dba", "db"));
}

int main(void) {
    check_begin();
    RUN(test_unsigned);
    RUN(test_signed);
    RUN(test_hex);
    RUN(test_lines);
    RUN(test_decimal);
    RUN(test_decimal_against_double);
    RUN(test_crc);
    RUN(test_parse_unsigned);
    RUN(test_parse_hex_digit);
    RUN(test_split_words);
    return check_end();
}
