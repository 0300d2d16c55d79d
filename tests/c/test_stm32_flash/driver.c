/* driver.c - the driver, its registers being the model's. Renamed: on an STM32 the port's own is
 * there, too. */
#include "controller.h"
#include "driver.h"

#define FLASH_PATIENCE 1000u

#include "boards/stm32f405/flash.c"
