/* string.h - what a board without a C library has of it: the few calls that compilers make on
 * their own. Where a C library is installed, this one stands before it on the include path, so
 * that an image is the same with and without. */
#ifndef BARE_STRING_H
#define BARE_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);

#endif
