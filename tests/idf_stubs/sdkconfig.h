/* What sdkconfig.defaults comes to; the chip, and nano-int8's choices, are given with -D. */
#pragma once

#define CONFIG_IDF_TARGET "esp32"
#define CONFIG_ESP_DEFAULT_CPU_FREQ_MHZ 240
#define CONFIG_ESP_MAIN_TASK_STACK_SIZE 8192
#define CONFIG_NANO_PARTITION "model"
#define CONFIG_NANO_TASK_STACK 4096
#define CONFIG_NANO_TASK_PRIORITY 5
