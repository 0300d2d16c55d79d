/* input.h - the input buffer, which `db` and frames fill.
 *
 * It stands outside the arena, because a model may reuse its input's room while it runs, and is
 * copied in before every inference. It holds the model's input as it is, unless app_model.h says
 * otherwise of a model whose one input is int8:
 *
 *     APP_DB_UINT8    uint8, 128 more than the int8 that the model gets
 *     APP_DB_FLOAT32  float32, little-endian; quantized with the input's scale and zero point
 *
 * Several inputs stand one behind the other, in the model's order. A load is of
 * all of them or of one; the others stay. */
#ifndef APP_INPUT_H
#define APP_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "chosen.h"
#include "nano/model.h"

/* What the buffer's elements are (of several inputs each has its own type), the bytes of the
 * model's inputs in it, and those that it has: more, where another model takes more. */
nano_type input_type(void);
uint32_t input_size(void);
uint32_t input_room(void);

/* Nothing is loaded any more. */
void input_clear(void);

/* Can this model's inputs be made from the buffer? If not, nothing must be copied. */
bool input_fits(const nano_model *model);

/* The bytes, and how many of them are valid; aligned to the elements of one input. */
const uint8_t *input_bytes(void);
uint32_t input_loaded(void);
bool input_whole(void);

/* Is a load under way? True from input_begin() until its last byte has come. */
bool input_open(void);

/* Begin a load of the bytes from `offset`, where an input begins, to `end`, where one ends: what
 * was loaded of them is void. */
void input_begin(uint32_t offset, uint32_t end);

/* Append `size` bytes. The caller has checked that a load is open and that they fit. */
void input_append(const uint8_t *bytes, uint32_t size);

/* Make all inputs of `net`'s model out of the buffer's bytes. */
void input_copy(const nano_net *net);

#ifdef SEVERAL_INPUTS

/* Where input `index` begins in the buffer, and how many of its bytes are valid: the first ones. */
uint32_t input_offset(unsigned index);
uint32_t input_part(unsigned index);

/* Where the input that begins at `offset` ends; 0: none begins there. */
uint32_t input_from(uint32_t offset);

/* Where the load's next byte belongs, and where the load ends. */
uint32_t input_next(void);
uint32_t input_end(void);

#else

static inline uint32_t input_offset(unsigned index) {
    (void)index;
    return 0;
}

static inline uint32_t input_part(unsigned index) {
    (void)index;
    return input_loaded();
}

static inline uint32_t input_from(uint32_t offset) {
    return offset == 0 ? input_size() : 0;
}

static inline uint32_t input_next(void) {
    return input_loaded();
}

static inline uint32_t input_end(void) {
    return input_size();
}

#endif

#endif
