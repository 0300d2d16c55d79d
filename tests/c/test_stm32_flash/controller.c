/* controller.c - see controller.h. */
#include "controller.h"

#include "boards/stm32f405/registers.h"

#define CACHES (FLASH_ACR_ICACHE | FLASH_ACR_DCACHE)
#define RESETS (FLASH_ACR_ICACHE_RESET | FLASH_ACR_DCACHE_RESET)
#define SIZE_MASK (UINT32_C(3) << 8)
#define SECTOR_MASK (UINT32_C(15) << FLASH_CR_SECTOR)
#define SR_PROTECTED BIT(4)
#define SR_SEQUENCE BIT(7)

controller_state controller;

void controller_reset(void) {
    static const controller_state fresh = {
        .control = FLASH_CR_LOCK,
        .access = CACHES | 5u,
        .slowness = 3,
        .fails_at = UINT32_MAX,
        .stuck_at = UINT32_MAX,
    };
    controller = fresh;
}

static bool locked(void) {
    return (controller.control & FLASH_CR_LOCK) != 0;
}

static void violate(void) {
    controller.violations++;
    controller.status |= SR_SEQUENCE;
}

static bool in_flash(uint32_t address) {
    return address >= CONTROLLER_BASE && address < CONTROLLER_BASE + 4u * CONTROLLER_WORDS;
}

uint32_t word_read(uint32_t address) {
    if (controller.absent)
        return 0;
    if (in_flash(address)) {
        const uint32_t index = (address - CONTROLLER_BASE) / 4u;
        return ((controller.access & CACHES) != 0 ? controller.cache : controller.flash)[index];
    }
    if (address == FLASH_SR_ADDRESS) {
        if (controller.busy == 0)
            return controller.status;
        if (controller.slowness != UINT32_MAX)
            controller.busy--;
        return controller.status | FLASH_SR_BUSY;
    }
    if (address == FLASH_CR_ADDRESS)
        return controller.control;
    if (address == FLASH_ACR_ADDRESS)
        return controller.access;
    controller.violations++;
    return 0;
}

static void take_key(uint32_t key) {
    if (key == (controller.keys == 0 ? FLASH_KEY1 : FLASH_KEY2) && !controller.shut)
        controller.keys++;
    else
        controller.shut = true;
    if (controller.keys == 2) {
        controller.control &= ~FLASH_CR_LOCK;
        controller.keys = 0;
    }
}

static void erase(void) {
    const uint32_t sector = (controller.control & SECTOR_MASK) >> FLASH_CR_SECTOR;
    if ((controller.control & FLASH_CR_SECTOR_ERASE) == 0 || sector != CONTROLLER_SECTOR) {
        violate();
        return;
    }
    controller.erased++;
    controller.busy = controller.slowness;
    for (uint32_t i = 0; i < CONTROLLER_WORDS; i++)
        controller.flash[i] = i == controller.stuck_at ? UINT32_MAX - 1u : UINT32_MAX;
}

static void program(uint32_t index, uint32_t value) {
    const uint32_t mode = FLASH_CR_PROGRAM | FLASH_CR_SECTOR_ERASE | SIZE_MASK;
    if (locked() || (controller.control & mode) != (FLASH_CR_PROGRAM | FLASH_CR_WORDS) ||
        (controller.status & FLASH_SR_ERRORS) != 0) {
        violate();
        return;
    }
    controller.programmed++;
    controller.busy = controller.slowness;
    if (index == controller.fails_at)
        controller.status |= SR_PROTECTED;
    else
        controller.flash[index] &= value | (index == controller.stuck_at ? 1u : 0u);
}

static void set_access(uint32_t value) {
    if ((value & RESETS) != 0 && (value & CACHES) != 0) {
        violate();
        return;
    }
    if ((value & RESETS) == RESETS) {
        for (uint32_t i = 0; i < CONTROLLER_WORDS; i++)
            controller.cache[i] = controller.flash[i];
    }
    controller.access = value;
}

static void set_control(uint32_t value) {
    if (locked() && value != FLASH_CR_LOCK) {
        violate();
        return;
    }
    controller.control = value & ~FLASH_CR_START;
    if ((value & FLASH_CR_START) != 0)
        erase();
}

void word_write(uint32_t address, uint32_t value) {
    if (controller.absent)
        return;
    if (controller.busy > 0 && controller.slowness != UINT32_MAX)
        violate();
    else if (in_flash(address) && address % 4u == 0)
        program((address - CONTROLLER_BASE) / 4u, value);
    else if (address == FLASH_KEYR_ADDRESS)
        take_key(value);
    else if (address == FLASH_SR_ADDRESS)
        controller.status &= ~value;
    else if (address == FLASH_CR_ADDRESS)
        set_control(value);
    else if (address == FLASH_ACR_ADDRESS)
        set_access(value);
    else
        violate();
}
