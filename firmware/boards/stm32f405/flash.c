/* flash.c - see flash.h. */
#include "flash.h"

#include <string.h>

#include "access.h"
#include "registers.h"

/* Turns of a loop of at least five cycles: 5 s at 168 MHz; erasing 128 KB takes 2 s at most. */
#ifndef FLASH_PATIENCE
#define FLASH_PATIENCE 168000000u
#endif

#define ERASED UINT32_C(0xFFFFFFFF)

bool flash_present(void) {
    word_write(FLASH_CR_ADDRESS, FLASH_CR_LOCK);
    return (word_read(FLASH_CR_ADDRESS) & FLASH_CR_LOCK) != 0;
}

static flash_status wait_until_idle(void) {
    for (uint32_t i = 0; i < FLASH_PATIENCE; i++) {
        if ((word_read(FLASH_SR_ADDRESS) & FLASH_SR_BUSY) == 0)
            return FLASH_OK;
    }
    return FLASH_TIMEOUT;
}

/* Flags of an earlier operation are cleared by writing ones: they would be taken for this one's. */
static flash_status unlock(void) {
    if (!flash_present())
        return FLASH_ABSENT;
    const flash_status status = wait_until_idle();
    if (status != FLASH_OK)
        return status;
    word_write(FLASH_KEYR_ADDRESS, FLASH_KEY1);
    word_write(FLASH_KEYR_ADDRESS, FLASH_KEY2);
    if ((word_read(FLASH_CR_ADDRESS) & FLASH_CR_LOCK) != 0)
        return FLASH_LOCKED;
    word_write(FLASH_SR_ADDRESS, FLASH_SR_EOP | FLASH_SR_ERRORS);
    return FLASH_OK;
}

/* The caches may hold what the flash held before. They can be emptied only while they are off. */
static void empty_caches(void) {
    const uint32_t access = word_read(FLASH_ACR_ADDRESS);
    const uint32_t off = access & ~(FLASH_ACR_ICACHE | FLASH_ACR_DCACHE);
    word_write(FLASH_ACR_ADDRESS, off);
    word_write(FLASH_ACR_ADDRESS, off | FLASH_ACR_ICACHE_RESET | FLASH_ACR_DCACHE_RESET);
    word_write(FLASH_ACR_ADDRESS, off);
    word_write(FLASH_ACR_ADDRESS, access);
}

static void lock(void) {
    word_write(FLASH_CR_ADDRESS, FLASH_CR_LOCK);
    empty_caches();
}

static flash_status finish(void) {
    const flash_status status = wait_until_idle();
    if (status == FLASH_OK && (word_read(FLASH_SR_ADDRESS) & FLASH_SR_ERRORS) != 0)
        return FLASH_ERROR;
    return status;
}

flash_status flash_erase(uint32_t sector, uint32_t address, uint32_t words) {
    flash_status status = unlock();
    if (status != FLASH_OK)
        return status;
    const uint32_t operation = FLASH_CR_WORDS | FLASH_CR_SECTOR_ERASE | sector << FLASH_CR_SECTOR;
    word_write(FLASH_CR_ADDRESS, operation);
    word_write(FLASH_CR_ADDRESS, operation | FLASH_CR_START);
    status = finish();
    lock();
    for (uint32_t i = 0; status == FLASH_OK && i < words; i++) {
        if (word_read(address + 4u * i) != ERASED)
            status = FLASH_VERIFY;
    }
    return status;
}

static uint32_t word_at(const void *bytes, uint32_t index) {
    uint32_t word;
    memcpy(&word, (const uint8_t *)bytes + 4u * index, sizeof word);
    return word;
}

flash_status flash_program(uint32_t address, const void *from, uint32_t count) {
    flash_status status = unlock();
    if (status != FLASH_OK)
        return status;
    word_write(FLASH_CR_ADDRESS, FLASH_CR_WORDS | FLASH_CR_PROGRAM);
    for (uint32_t i = 0; status == FLASH_OK && i < count; i++) {
        word_write(address + 4u * i, word_at(from, i));
        status = finish();
    }
    lock();
    for (uint32_t i = 0; status == FLASH_OK && i < count; i++) {
        if (word_read(address + 4u * i) != word_at(from, i))
            status = FLASH_VERIFY;
    }
    return status;
}
