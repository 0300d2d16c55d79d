/* store.c - the board's store: the last two sectors of the flash, 128 KB each.
 *
 * QEMU has no flash controller: there a piece of RAM stands in for the flash, and `mem` says "ram".
 * No real chip spends RAM on it, for it lies where a chip has none for the program: in the
 * CCM, which link.ld leaves alone and QEMU has from 8.0 on, or behind the 128 KB of SRAM, where
 * older QEMUs have 64 KB that no chip has. */
#include "board.h"

#include <stddef.h>
#include <string.h>

#include "flash.h"
#include "registers.h"

#define UNIT 4u

#define FLASH_STORE 0x080C0000u
#define FLASH_STORE_SECTOR 10u
#define FLASH_SECTOR_SIZE 0x20000u
#define FLASH_STORE_SECTORS 2u

#define CCM 0x10000000u
#define BEHIND_SRAM 0x20020000u
#define RAM_SECTOR_SIZE 0x1000u
#define RAM_SECTORS 16u

extern const uint8_t __image_end[]; /* from link.ld */

static struct {
    bool known;
    uint8_t *ram; /* what stands in for the flash; NULL: nothing does */
    board_store_info info;
} store;

static void use_flash(void) {
    store.info.sector_size = FLASH_SECTOR_SIZE;
    store.info.sectors = FLASH_STORE_SECTORS;
    store.info.unit = UNIT;
    store.info.medium = "flash";
}

static void use_ram(void) {
    if (core_answers((const volatile uint32_t *)CCM))
        store.ram = (uint8_t *)CCM;
    else if (core_answers((const volatile uint32_t *)BEHIND_SRAM))
        store.ram = (uint8_t *)BEHIND_SRAM;
    SCB_CFSR = SCB_CFSR; /* a look at nothing was no fault */
    if (store.ram == NULL)
        return;
    store.info.sector_size = RAM_SECTOR_SIZE;
    store.info.sectors = RAM_SECTORS;
    store.info.unit = UNIT;
    store.info.medium = "ram";
}

/* An image that reaches into the store's sectors leaves none. */
void board_store(board_store_info *info) {
    if (!store.known && flash_present()) {
        if ((uint32_t)__image_end <= FLASH_STORE)
            use_flash();
    } else if (!store.known) {
        use_ram();
    }
    store.known = true;
    *info = store.info;
}

static bool inside(uint32_t offset, uint32_t size) {
    board_store_info info;
    board_store(&info);
    const uint32_t whole = info.sector_size * info.sectors;
    return offset <= whole && size <= whole - offset;
}

bool board_store_read(uint32_t offset, void *to, uint32_t size) {
    if (!inside(offset, size))
        return false;
    memcpy(to, (store.ram != NULL ? store.ram : (const uint8_t *)FLASH_STORE) + offset, size);
    return true;
}

/* As flash does: bits go from 1 to 0 only. */
static bool program_ram(uint32_t offset, const uint8_t *from, uint32_t size) {
    uint8_t *const to = store.ram + offset;
    for (uint32_t i = 0; i < size; i++)
        to[i] &= from[i];
    return memcmp(to, from, size) == 0;
}

bool board_store_program(uint32_t offset, const void *from, uint32_t size) {
    if (!inside(offset, size) || offset % UNIT != 0 || size % UNIT != 0)
        return false;
    if (store.ram != NULL)
        return program_ram(offset, (const uint8_t *)from, size);
    return flash_program(FLASH_STORE + offset, from, size / UNIT) == FLASH_OK;
}

bool board_store_erase(uint32_t sector) {
    const uint32_t size = store.info.sector_size;
    if (!inside(0, 0) || sector >= store.info.sectors)
        return false;
    if (store.ram != NULL) {
        memset(store.ram + sector * size, 0xFF, size);
        return true;
    }
    return flash_erase(FLASH_STORE_SECTOR + sector, FLASH_STORE + sector * size, size / 4u) ==
           FLASH_OK;
}
