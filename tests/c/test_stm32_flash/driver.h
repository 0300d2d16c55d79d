/* driver.h - boards/stm32f405/flash.h with other names. */
#ifndef DRIVER_H
#define DRIVER_H

#define flash_present modelled_present
#define flash_erase modelled_erase
#define flash_program modelled_program

#include "boards/stm32f405/flash.h"

#endif
