/* parse.c - words of a command line. */
#include "parse.h"

#include <stddef.h>

unsigned split_words(char *line, char *words[], unsigned limit) {
    unsigned count = 0;
    for (;;) {
        while (*line == ' ')
            *line++ = '\0';
        if (*line == '\0')
            return count;
        if (count == limit)
            return limit + 1;
        words[count++] = line;
        while (*line != ' ' && *line != '\0')
            line++;
    }
}

bool same_text(const char *a, const char *b) {
    while (*a == *b && *a != '\0') {
        a++;
        b++;
    }
    return *a == *b;
}

bool parse_unsigned(const char *word, uint32_t largest, uint32_t *value) {
    uint32_t result = 0;
    if (*word == '\0')
        return false;
    for (; *word != '\0'; word++) {
        const uint32_t digit = (uint32_t)(uint8_t)*word - '0';
        if (digit > 9 || digit > largest || result > (largest - digit) / 10u)
            return false;
        result = result * 10u + digit;
    }
    *value = result;
    return true;
}

/* Both the digits and the power of ten are below 2^24, so they are exact, and one division rounds.
 */
bool parse_decimal(const char *word, float *value) {
    int32_t digits = 0, power = 1;
    unsigned count = 0;
    bool point = false;
    for (; *word != '\0'; word++) {
        const uint32_t digit = (uint32_t)(uint8_t)*word - '0';
        if (*word == '.' && !point) {
            point = true;
        } else if (digit <= 9 && count < 7) {
            digits = digits * 10 + (int32_t)digit;
            power *= point ? 10 : 1;
            count++;
        } else {
            return false;
        }
    }
    if (count == 0)
        return false;
    *value = (float)digits / (float)power;
    return true;
}

int parse_hex_digit(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    const char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}
