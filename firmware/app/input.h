/* input.h - the input buffer, which `db` and frames fill.
 *
 * It stands outside the arena, because a model may reuse its input's room while it runs, and is
 * copied in before every inference. It holds the model's input as it is, unless app_model.h says
 * otherwise of a model whose input is int8:
 *
 *     APP_DB_UINT8    uint8, 128 more than the int8 that the model gets
 *     APP_DB_FLOAT32  float32, little-endian; quantized with the input's scale and zero point */
#ifndef APP_INPUT_H
#define APP_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "nano/model.h"

/* What the buffer's elements are, and its bytes. */
nano_type input_type(void);
uint32_t input_size(void);

/* Can this model's input be made from the buffer? If not, nothing must be copied. */
bool input_fits(const nano_tensor *tensor);

/* The bytes, of which the first input_loaded() are valid; aligned to the elements. */
const uint8_t *input_bytes(void);
uint32_t input_loaded(void);
bool input_whole(void);

/* Is a load under way? True from input_begin() until the input is whole. */
bool input_open(void);

/* Begin a load: what was loaded is void. */
void input_begin(void);

/* Append `size` bytes. The caller has checked that a load is open and that they fit. */
void input_append(const uint8_t *bytes, uint32_t size);

/* Make the model's input, `tensor->size` bytes at `to`, out of the buffer's. */
void input_copy(const nano_tensor *tensor, void *to);

#endif
