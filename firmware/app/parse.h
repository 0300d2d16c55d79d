/* parse.h - words of a command line. */
#ifndef APP_PARSE_H
#define APP_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* Cut `line` at its blanks, in place: words[0..] point into it. Returns how many there are, at
 * most `limit` + 1; words beyond `limit` are counted once and not stored. */
unsigned split_words(char *line, char *words[], unsigned limit);

/* Are `a` and `b` the same text? */
bool same_text(const char *a, const char *b);

/* Read a decimal number without sign, at most `largest`. False, and *value untouched, if `word`
 * is no such number. */
bool parse_unsigned(const char *word, uint32_t largest, uint32_t *value);

/* Read a decimal number without sign: at most seven digits, one point among them or none. The value
 * is the float32 nearest to it, the same on every board. False, and *value untouched, if `word` is
 * no such number. */
bool parse_decimal(const char *word, float *value);

/* The value of a hex digit of either case; -1 if `digit` is none. */
int parse_hex_digit(char digit);

/* Turn a text of hex digits into bytes, over itself. The number of bytes; 0 if it is none, or an
 * odd number of them. */
static inline uint32_t decode_hex(char *text) {
    uint32_t digits = 0;
    while (text[digits] != '\0') {
        if (parse_hex_digit(text[digits]) < 0)
            return 0;
        digits++;
    }
    if (digits % 2 != 0)
        return 0;
    uint8_t *const bytes = (uint8_t *)text;
    for (uint32_t i = 0; i < digits / 2; i++)
        bytes[i] = (uint8_t)(parse_hex_digit(text[2 * i]) << 4 | parse_hex_digit(text[2 * i + 1]));
    return digits / 2;
}

#endif
