/* string.c - memory calls for boards without a C library. Words where both ends are aligned, else
 * bytes. */
/* Or gcc finds memset in memset's loop, and calls it. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

#include <string.h>

#include <stdint.h>

typedef uint32_t __attribute__((may_alias)) word;

static int word_aligned(uintptr_t bits) {
    return (bits & (sizeof(word) - 1)) == 0;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    unsigned char *out = (unsigned char *)to;
    const unsigned char *in = (const unsigned char *)from;
    if (word_aligned((uintptr_t)out | (uintptr_t)in)) {
        for (; size >= sizeof(word); size -= sizeof(word)) {
            *(word *)(void *)out = *(const word *)(const void *)in;
            out += sizeof(word);
            in += sizeof(word);
        }
    }
    while (size-- > 0)
        *out++ = *in++;
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    unsigned char *const out = (unsigned char *)to;
    const unsigned char *const in = (const unsigned char *)from;
    if ((uintptr_t)out - (uintptr_t)in >= size)
        return memcpy(to, from, size); /* forward is safe: `to` is not inside `from` */
    while (size-- > 0)
        out[size] = in[size];
    return to;
}

void *memset(void *to, int value, size_t size) {
    unsigned char *out = (unsigned char *)to;
    const unsigned char byte = (unsigned char)value;
    if (word_aligned((uintptr_t)out)) {
        for (; size >= sizeof(word); size -= sizeof(word)) {
            *(word *)(void *)out = (word)(byte * UINT32_C(0x01010101));
            out += sizeof(word);
        }
    }
    while (size-- > 0)
        *out++ = byte;
    return to;
}

int memcmp(const void *a, const void *b, size_t size) {
    const unsigned char *x = (const unsigned char *)a;
    const unsigned char *y = (const unsigned char *)b;
    for (; size > 0; size--, x++, y++) {
        if (*x != *y)
            return *x - *y;
    }
    return 0;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length] != '\0')
        length++;
    return length;
}
