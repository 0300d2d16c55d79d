/* format.c - text out to the line. */
#include "format.h"

#include "turn.h"

void put_text(const char *text) {
    while (*text != '\0')
        put_byte((uint8_t)*text++);
}

void put_line_end(void) {
    put_text("\r\n");
}

void put_unsigned(uint32_t value) {
    char digits[11];
    char *first = &digits[10];
    *first = '\0';
    do {
        *--first = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    put_text(first);
}

void put_signed(int32_t value) {
    if (value < 0)
        put_byte('-');
    put_unsigned(value < 0 ? 0u - (uint32_t)value : (uint32_t)value);
}

void put_hex(uint32_t value, unsigned digits) {
    while (digits-- > 0)
        put_byte((uint8_t) "0123456789abcdef"[(value >> (4 * digits)) & 15u]);
}

/* A magnitude as its whole part and thousandths. */
typedef struct {
    uint32_t whole;
    uint32_t thousandths; /* 0..999 */
} decimal;

/* value * 2^exponent, rounded to thousandths. value < 2^32, exponent -149..105. */
static decimal to_decimal(uint32_t value, int exponent) {
    const decimal largest = {UINT32_MAX, 999};
    decimal result = {0, 0};
    if (value == 0 || exponent < -63)
        return result; /* below 2^-31: 0.000 */
    if (exponent >= 0) {
        if (exponent >= 32 || value > UINT32_MAX >> exponent)
            return largest;
        result.whole = value << exponent;
        return result;
    }
    const unsigned right = (unsigned)-exponent; /* 1..63 */
    const uint64_t fraction = value & ((UINT64_C(1) << right) - 1u);
    result.whole = (uint32_t)((uint64_t)value >> right);
    /* fraction < 2^32, so the product stays below 2^42 and the sum below 2^63. */
    result.thousandths = (uint32_t)((fraction * 1000u + (UINT64_C(1) << (right - 1))) >> right);
    if (result.thousandths == 1000) { /* whole < 2^31 here: no overflow */
        result.thousandths = 0;
        result.whole++;
    }
    return result;
}

void put_decimal(uint32_t scale_bits, int32_t steps) {
    const uint32_t exponent_field = (scale_bits >> 23) & 255u;
    const int negative = (int)(scale_bits >> 31) != (steps < 0);
    const uint32_t distance = steps < 0 ? 0u - (uint32_t)steps : (uint32_t)steps;
    /* float32 = mantissa * 2^(field - 150); a field of 0 marks the subnormals, which lack the
     * hidden bit and count as field 1. A field of 255, infinities and NaN, just counts as very
     * large. mantissa * distance < 2^24 * 255 < 2^32. */
    const uint32_t hidden = exponent_field != 0 ? UINT32_C(1) << 23 : 0;
    const uint32_t mantissa = (scale_bits & 0x7fffffu) | hidden;
    const int exponent = (exponent_field != 0 ? (int)exponent_field : 1) - 150;
    const decimal result = to_decimal(mantissa * distance, exponent);
    if (negative && (result.whole | result.thousandths) != 0)
        put_byte('-');
    put_unsigned(result.whole);
    put_byte('.');
    put_byte((uint8_t)('0' + result.thousandths / 100u));
    put_byte((uint8_t)('0' + result.thousandths / 10u % 10u));
    put_byte((uint8_t)('0' + result.thousandths % 10u));
}

void put_open(const char *tag) {
    put_text(tag);
    put_text("-[");
}

void put_close(void) {
    put_text("]\r\n");
}

void put_frame_taken(uint32_t offset, uint32_t size) {
    put_open("m-frame");
    put_unsigned(offset);
    put_text(" ");
    put_unsigned(size);
    put_close();
}

void put_frame_misplaced(uint32_t next, uint32_t size) {
    put_open("e");
    put_text("Frame out of place: the next byte is ");
    put_unsigned(next);
    if (size != 0) {
        put_text(" of ");
        put_unsigned(size);
    }
    put_close();
}

void put_error(const char *text) {
    put_open("e");
    put_text(text);
    put_close();
}
