/* The STM32F405's flash driver against a model of the controller: keys, order, waiting, errors,
 * stale caches. */
#include "../check/check.h"

#include <string.h>

#include "controller.h"
#include "driver.h"

#define FAR_WORD 200u

static flash_status erase(void) {
    return flash_erase(CONTROLLER_SECTOR, CONTROLLER_BASE, CONTROLLER_WORDS);
}

/* Whatever happened: locked, the caches on and up to date, nothing done that the manual forbids. */
static bool in_order(void) {
    return controller.control == 0x80000000u && controller.access == ((3u << 9) | 5u) &&
           memcmp(controller.cache, controller.flash, sizeof controller.flash) == 0 &&
           controller.violations == 0;
}

static void test_erase_and_program(void) {
    static const uint8_t bytes[] = {9, 1, 2, 3, 4, 0xFF, 0, 0x80, 7, 8, 9, 10, 11};
    controller_reset();
    CHECK(flash_present());
    CHECK_EQUAL(FLASH_OK, erase());
    CHECK(in_order());
    CHECK_EQUAL(1, controller.erased);
    CHECK_EQUAL(FLASH_OK, flash_program(CONTROLLER_BASE + 8, &bytes[1], 3)); /* not aligned */
    CHECK(in_order());
    CHECK_EQUAL(3, controller.programmed);
    CHECK_EQUAL(-1, controller.flash[1]);
    CHECK_EQUAL(0x04030201, controller.flash[2]);
    CHECK(controller.flash[3] == 0x078000FFu);
    CHECK_EQUAL(0x0B0A0908, controller.flash[4]);
    CHECK_EQUAL(-1, controller.flash[5]);
    CHECK_EQUAL(FLASH_OK, flash_program(CONTROLLER_BASE, bytes, 0));
    CHECK(in_order());
}

/* Bits that are 0 stay 0. */
static void test_programming_twice_is_noticed(void) {
    static const uint32_t first = 0xFFFF0000u, second = 0x00FFFF00u;
    controller_reset();
    CHECK_EQUAL(FLASH_OK, erase());
    CHECK_EQUAL(FLASH_OK, flash_program(CONTROLLER_BASE, &first, 1));
    CHECK_EQUAL(FLASH_VERIFY, flash_program(CONTROLLER_BASE, &second, 1));
    CHECK(in_order());
}

static void test_bad_cells(void) {
    static const uint32_t words[FAR_WORD + 2];
    controller_reset();
    controller.stuck_at = FAR_WORD;
    CHECK_EQUAL(FLASH_VERIFY, erase());
    CHECK(in_order());
    controller.stuck_at = UINT32_MAX;
    CHECK_EQUAL(FLASH_OK, erase());
    controller.stuck_at = FAR_WORD;
    CHECK_EQUAL(FLASH_VERIFY, flash_program(CONTROLLER_BASE, words, FAR_WORD + 2));
    CHECK_EQUAL(1, controller.flash[FAR_WORD]);
    CHECK(in_order());
}

/* The first error ends it; the next call begins with clean flags. */
static void test_errors(void) {
    static const uint32_t words[10];
    controller_reset();
    CHECK_EQUAL(FLASH_OK, erase());
    controller.fails_at = 5;
    CHECK_EQUAL(FLASH_ERROR, flash_program(CONTROLLER_BASE, words, 10));
    CHECK_EQUAL(6, controller.programmed);
    CHECK(controller.status != 0);
    CHECK(in_order());
    controller.fails_at = UINT32_MAX;
    CHECK_EQUAL(FLASH_OK, flash_program(CONTROLLER_BASE + 20, words, 5));
    CHECK_EQUAL(0, controller.status);
    CHECK(in_order());
    CHECK_EQUAL(FLASH_OK, erase());
    CHECK(in_order());
}

static void test_busy_for_ever(void) {
    controller_reset();
    controller.slowness = UINT32_MAX;
    CHECK_EQUAL(FLASH_TIMEOUT, erase());
    CHECK_EQUAL(1, controller.erased);
    CHECK_EQUAL(FLASH_TIMEOUT, erase()); /* before it asks for another one */
    CHECK_EQUAL(1, controller.erased);
}

static void test_locked_for_good(void) {
    static const uint32_t word = 0;
    controller_reset();
    controller.shut = true;
    CHECK_EQUAL(FLASH_LOCKED, erase());
    CHECK_EQUAL(FLASH_LOCKED, flash_program(CONTROLLER_BASE, &word, 1));
    CHECK_EQUAL(0, controller.erased + controller.programmed);
    CHECK_EQUAL(0, controller.violations);
}

static void test_no_controller(void) {
    static const uint32_t word = 0;
    controller_reset();
    controller.absent = true;
    CHECK(!flash_present());
    CHECK_EQUAL(FLASH_ABSENT, erase());
    CHECK_EQUAL(FLASH_ABSENT, flash_program(CONTROLLER_BASE, &word, 1));
}

int main(void) {
    check_begin();
    RUN(test_erase_and_program);
    RUN(test_programming_twice_is_noticed);
    RUN(test_bad_cells);
    RUN(test_errors);
    RUN(test_busy_for_ever);
    RUN(test_locked_for_good);
    RUN(test_no_controller);
    return check_end();
}
