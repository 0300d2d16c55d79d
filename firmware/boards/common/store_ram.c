/* store_ram.c - a store of RAM, for boards whose flash nobody programs: emulated ones, and the bare
 * ESP32, which has no driver for its flash. It outlives a reset and not the power; `mem` says so.
 *
 * Only a program that calls it has it: otherwise the linker leaves it out. */
#include "board.h"

#include <string.h>

#define SECTOR_SIZE 4096u
#define UNIT 4u

/* Bytes of RAM, a multiple of two sectors. */
#ifndef NANO_STORE_RAM
#define NANO_STORE_RAM 32768u
#endif

__attribute__((section(".noinit"), aligned(4))) static uint8_t store[NANO_STORE_RAM];

void board_store(board_store_info *info) {
    info->sector_size = SECTOR_SIZE;
    info->sectors = sizeof store / SECTOR_SIZE;
    info->unit = UNIT;
    info->medium = "ram";
}

static bool inside(uint32_t offset, uint32_t size) {
    return offset <= sizeof store && size <= sizeof store - offset;
}

bool board_store_read(uint32_t offset, void *to, uint32_t size) {
    if (!inside(offset, size))
        return false;
    memcpy(to, &store[offset], size);
    return true;
}

/* As flash does: bits go from 1 to 0 only. */
bool board_store_program(uint32_t offset, const void *from, uint32_t size) {
    const uint8_t *const bytes = (const uint8_t *)from;
    if (!inside(offset, size) || offset % UNIT != 0 || size % UNIT != 0)
        return false;
    for (uint32_t i = 0; i < size; i++)
        store[offset + i] &= bytes[i];
    return memcmp(&store[offset], bytes, size) == 0;
}

bool board_store_erase(uint32_t sector) {
    if (sector >= sizeof store / SECTOR_SIZE)
        return false;
    memset(&store[sector * SECTOR_SIZE], 0xFF, SECTOR_SIZE);
    return true;
}
