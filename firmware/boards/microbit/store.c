/* store.c - the board's store: the last 16 pages of the flash, 1 KB each, behind the program's
 * (link.ld). */
#include "board.h"

#include <string.h>

#include "registers.h"

#define STORE 0x3C000u
#define PAGE_SIZE 1024u
#define PAGES 16u
#define STORE_SIZE (PAGES * PAGE_SIZE)
#define UNIT 4u

void board_store(board_store_info *info) {
    info->sector_size = PAGE_SIZE;
    info->sectors = PAGES;
    info->unit = UNIT;
    info->medium = "flash";
}

static bool inside(uint32_t offset, uint32_t size) {
    return offset <= STORE_SIZE && size <= STORE_SIZE - offset;
}

static void allow(uint32_t what) {
    NVMC_CONFIG = what;
    while (NVMC_READY == 0) {
    }
}

bool board_store_read(uint32_t offset, void *to, uint32_t size) {
    if (!inside(offset, size))
        return false;
    memcpy(to, (const uint8_t *)STORE + offset, size);
    return true;
}

bool board_store_program(uint32_t offset, const void *from, uint32_t size) {
    const uint8_t *const bytes = (const uint8_t *)from;
    if (!inside(offset, size) || offset % UNIT != 0 || size % UNIT != 0)
        return false;
    allow(NVMC_WRITE);
    for (uint32_t at = 0; at < size; at += UNIT) {
        uint32_t word;
        memcpy(&word, bytes + at, sizeof word);
        REGISTER(STORE + offset + at) = word;
        while (NVMC_READY == 0) {
        }
    }
    allow(NVMC_READ);
    return memcmp((const uint8_t *)STORE + offset, bytes, size) == 0;
}

bool board_store_erase(uint32_t sector) {
    if (sector >= PAGES)
        return false;
    allow(NVMC_ERASE);
    NVMC_ERASEPAGE = STORE + sector * PAGE_SIZE;
    while (NVMC_READY == 0) {
    }
    allow(NVMC_READ);
    return true;
}
