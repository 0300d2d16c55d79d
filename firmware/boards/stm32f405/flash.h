/* flash.h - the flash controller (ST RM0090, chapter 3): erase and program, verified.
 *
 * 1 MB in twelve sectors: four of 16 KB, one of 64 KB, seven of 128 KB. The core stands still while
 * the controller works: a sector of 128 KB takes one to two seconds. The controller is locked
 * again, and its caches are empty, when a call returns. */
#ifndef STM32F405_FLASH_H
#define STM32F405_FLASH_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    FLASH_OK = 0,
    FLASH_ABSENT = -1,  /* there is no controller: it is emulated */
    FLASH_LOCKED = -2,  /* it does not take the keys; until the next reset */
    FLASH_TIMEOUT = -3, /* it stays busy */
    FLASH_ERROR = -4,   /* it reports an error: write protection, alignment, order, supply */
    FLASH_VERIFY = -5   /* it reports none, but other bits are read */
} flash_status;

/* Is there a controller? Its lock bit can be set by anyone; what is not there reads 0. */
bool flash_present(void);

/* Erase sector 0..11, which has `words` words at `address`. */
flash_status flash_erase(uint32_t sector, uint32_t address, uint32_t words);

/* Program `count` words (little-endian bytes at `from`, of any alignment) at `address`, a multiple
 * of 4. Stops at the first error: what lies before it is programmed. */
flash_status flash_program(uint32_t address, const void *from, uint32_t count);

#endif
