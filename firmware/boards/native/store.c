/* store.c - the board's store: the file that --store or NANO_STORE names; else one without a name,
 * which outlives resets and ends with the program.
 *
 * NANO_STORE_CUT=N cuts the power: the N-th operation since start-up (1 is the first; a unit
 * programmed, a sector erased) stays unfinished, and the program ends with status 86. What an
 * unfinished operation leaves is random, from the seed N. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif

#include "board.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR_SIZE 4096u
#define SECTORS 64u
#define UNIT 4u

#define POWER_CUT 86

/* Tells the program that board_reset() starts over which descriptor the nameless file has. */
#define INHERITED "NANO_NATIVE_STORE"

static struct {
    int file;
    uint32_t operations, cut; /* done; the one to be cut, 0: none */
    uint32_t random;          /* xorshift32's state */
} store = {.file = -1};

static void die(const char *what) {
    fprintf(stderr, "nano: store: ");
    perror(what);
    exit(1);
}

static void read_all(uint32_t offset, void *to, uint32_t size) {
    if (pread(store.file, to, size, (off_t)offset) != (ssize_t)size)
        die("read");
}

static void write_all(uint32_t offset, const void *from, uint32_t size) {
    if (pwrite(store.file, from, size, (off_t)offset) != (ssize_t)size)
        die("write");
}

static int open_nameless(void) {
    char descriptor[16], name[] = "/tmp/nano-store-XXXXXX";
    const int file = mkstemp(name);
    if (file < 0 || unlink(name) != 0)
        die(name);
    snprintf(descriptor, sizeof descriptor, "%d", file);
    setenv(INHERITED, descriptor, 1);
    return file;
}

/* New flash is erased. */
static void fill_up(void) {
    uint8_t erased[SECTOR_SIZE];
    memset(erased, 0xFF, sizeof erased);
    const off_t end = lseek(store.file, 0, SEEK_END);
    if (end < 0)
        die("seek");
    for (uint32_t at = (uint32_t)end; at < SECTOR_SIZE * SECTORS;) {
        const uint32_t size = SECTOR_SIZE - at % SECTOR_SIZE;
        write_all(at, erased, size);
        at += size;
    }
}

static void open_store(void) {
    if (store.file >= 0)
        return;
    const char *const path = getenv("NANO_STORE"), *const inherited = getenv(INHERITED),
                      *const cut = getenv("NANO_STORE_CUT");
    if (path != NULL)
        store.file = open(path, O_RDWR | O_CREAT, 0666);
    else
        store.file = inherited != NULL ? (int)strtol(inherited, NULL, 10) : open_nameless();
    if (store.file < 0)
        die(path);
    fill_up();
    store.cut = cut != NULL ? (uint32_t)strtoul(cut, NULL, 10) : 0;
    store.random = store.cut;
}

static uint8_t random_byte(void) {
    store.random ^= store.random << 13;
    store.random ^= store.random >> 17;
    store.random ^= store.random << 5;
    return (uint8_t)(store.random >> 11);
}

/* `size` bytes at `offset` become `bytes`, if the power stays on. */
static void operate(uint32_t offset, const uint8_t *bytes, uint32_t size) {
    if (++store.operations != store.cut) {
        write_all(offset, bytes, size);
        return;
    }
    for (uint32_t i = 0; i < size; i++) {
        uint8_t old;
        read_all(offset + i, &old, 1);
        /* Some of the bits that had to change did. */
        const uint8_t torn = (uint8_t)(old ^ ((old ^ bytes[i]) & random_byte()));
        write_all(offset + i, &torn, 1);
    }
    board_flush();
    _exit(POWER_CUT);
}

void board_store(board_store_info *info) {
    open_store();
    info->sector_size = SECTOR_SIZE;
    info->sectors = SECTORS;
    info->unit = UNIT;
    info->medium = "file";
}

static bool inside(uint32_t offset, uint32_t size) {
    const uint32_t whole = SECTOR_SIZE * SECTORS;
    return offset <= whole && size <= whole - offset;
}

bool board_store_read(uint32_t offset, void *to, uint32_t size) {
    open_store();
    if (!inside(offset, size))
        return false;
    read_all(offset, to, size);
    return true;
}

bool board_store_program(uint32_t offset, const void *from, uint32_t size) {
    const uint8_t *const bytes = (const uint8_t *)from;
    open_store();
    if (!inside(offset, size) || offset % UNIT != 0 || size % UNIT != 0)
        return false;
    for (uint32_t at = 0; at < size; at += UNIT) {
        uint8_t unit[UNIT];
        read_all(offset + at, unit, UNIT);
        for (uint32_t i = 0; i < UNIT; i++)
            unit[i] &= bytes[at + i];
        operate(offset + at, unit, UNIT);
        if (memcmp(unit, &bytes[at], UNIT) != 0)
            return false;
    }
    return true;
}

bool board_store_erase(uint32_t sector) {
    uint8_t erased[SECTOR_SIZE];
    open_store();
    if (sector >= SECTORS)
        return false;
    memset(erased, 0xFF, sizeof erased);
    operate(sector * SECTOR_SIZE, erased, sizeof erased);
    return true;
}
