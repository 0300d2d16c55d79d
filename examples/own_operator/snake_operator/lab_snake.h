/* lab_snake.h - x + sin(alpha x)^2 / alpha, from a table. */
#ifndef LAB_SNAKE_H
#define LAB_SNAKE_H

#include "nano/ops/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* out[k] = table[in[k] + 128]; byte k of the output needs byte k of the input. */
typedef struct {
    const int8_t *table; /* 256 entries */
    uint32_t size;       /* elements */
} lab_snake_params;
void lab_snake(const void *params, const nano_io *io);

#ifdef __cplusplus
}
#endif
#endif
