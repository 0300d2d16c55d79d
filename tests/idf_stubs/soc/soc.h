/* The ESP32's; other chips have others. */
#pragma once

#define SOC_DRAM_LOW 0x3FFAE000
#define SOC_DRAM_HIGH 0x40000000
