/* nano/model.h - a model is const data in flash; a net is one model at work in an arena.
 *
 * A model is a step: (inputs, states) -> (outputs, next states). Most have one input, one output
 * and no state: an answer then depends on nothing but its input. A model with states remembers;
 * each nano_run() is the next step of a sequence, and nano_reset() begins another one. */
#ifndef NANO_MODEL_H
#define NANO_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "nano/arena.h"
#include "nano/config.h"
#include "nano/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a kernel finds its tensors. The kernel reads `in` and writes `out`; they overlap only
 * where the planner proved that this kernel allows it. */
typedef struct {
    const void *in[NANO_MAX_INPUTS]; /* in[1] is NULL for a kernel of one input */
    void *out;
    void *scratch; /* NULL if the kernel needs none; else NANO_TENSOR_ALIGNed */
} nano_io;

/* A kernel computes one op. `params` points to the kernel's own const struct (nano/ops.h).
 * It cannot fail: everything that could be wrong was checked when the model was generated. */
typedef void (*nano_kernel)(const void *params, const nano_io *io);

/* One op of a model. Offsets count bytes from the start of the model's room in the arena. */
typedef struct {
    nano_kernel run;
    const void *params;
    uint32_t in[NANO_MAX_INPUTS]; /* NANO_NONE where there is no such input */
    uint32_t out;
    uint32_t scratch;  /* NANO_NONE if the kernel needs none */
    uint32_t out_size; /* bytes of the output tensor; 0: this op writes a first part of it only */
} nano_op;

/* What a tensor's elements are; those of several bytes are in the machine's byte order. */
typedef enum {
    NANO_INT8 = 0,
    NANO_UINT8 = 1,
    NANO_INT32 = 2,
    NANO_FLOAT32 = 3,
    NANO_INT16 = 4
} nano_type;

/* A tensor at the model's border, or a state: real = scale * (q - zero_point) if it is int8, uint8
 * or int16. */
typedef struct {
    uint32_t offset;    /* bytes from the start of the model's room in the arena */
    uint32_t size;      /* bytes */
    uint16_t shape[4];  /* outermost first (H, W, C for an image); unused trailing ones are 0 */
    float scale;        /* > 0; 1 for int32 and float32 */
    int32_t zero_point; /* -128..127; uint8: 0..255; 0 for the others */
    nano_type type;     /* of the elements; also aligned to their size */
    const char *name;   /* as exported, printable ASCII; NULL if it was left out */
} nano_tensor;

/* What a model remembers from one step to the next. Its bytes are the model's own: they are read
 * and written by ops, and change in the middle of a step. */
typedef struct {
    nano_tensor tensor;
    const void *initial; /* tensor.size bytes: before the first step; NULL: every byte is `fill` */
    uint8_t fill;
} nano_state;

/* A model. The generated source defines it `const`; it refers to const data only. */
typedef struct {
    uint32_t abi;                /* NANO_ABI of the generated source */
    const char *name;            /* as exported: a C identifier */
    const char *hash;            /* 16 hex digits that identify the quantized graph */
    const nano_op *ops;          /* run in this order */
    const char *const *op_names; /* one per op: the module's name; NULL if they were left out */
    const nano_tensor *inputs;   /* input_count of them, in the order of the exported model */
    const nano_tensor *outputs;  /* output_count of them, likewise */
    const nano_state *states;    /* state_count of them; NULL if there are none */
    uint16_t op_count;           /* may be 0: then an output is an input's bytes */
    uint16_t input_count;        /* at least 1 */
    uint16_t output_count;       /* at least 1 */
    uint16_t state_count;        /* 0: every run is by itself */
    uint32_t arena_size;         /* bytes of arena the model needs: states, tensors, scratch */
} nano_model;

typedef struct nano_net nano_net;

typedef enum {
    NANO_OP_BEGIN, /* the op's inputs are in place, it is about to run */
    NANO_OP_END    /* the op's output is in place, nothing has overwritten it yet */
} nano_event;

/* Called around every op. `op` counts from 0. The net must not be run from within. */
typedef void (*nano_observer)(void *user, const nano_net *net, uint16_t op, nano_event event);

/* One model at work. The fields are the library's; read them, write them only through calls. */
struct nano_net {
    const nano_model *model;
    uint8_t *base;          /* the model's room: model->arena_size bytes in the caller's arena */
    uint16_t next;          /* the op that nano_step() runs next; 0 between inferences */
    nano_observer observer; /* NULL: none */
    void *observer_user;
};

/* Take model->arena_size bytes from `arena`, give every state its initial value and make `net`
 * ready to run. `model` and the arena's bytes must outlive `net`. NANO_ERR_ABI, NANO_ERR_MEMORY,
 * NANO_ERR_ARGUMENT; then nothing is taken. */
nano_status nano_init(nano_net *net, const nano_model *model, nano_arena *arena);

/* Give every state its initial value and drop an inference that nano_step() began: the next run is
 * the first step of a sequence. Of a model without states it is nano_rewind(). */
void nano_reset(nano_net *net);

/* The first input, model->inputs[0].size bytes of model->inputs[0].type, H, W, C: the one that most
 * models have. Write it before every inference: a model may reuse its room for other tensors while
 * it runs. Valid as long as `net`. */
int8_t *nano_input(const nano_net *net);

/* The first output, model->outputs[0].size bytes; holds an answer after an inference has ended and
 * until the next one begins or an input is written. Valid as long as `net`. */
const int8_t *nano_output(const nano_net *net);

/* Likewise input and output `index`, in the order of model->inputs and model->outputs; NULL if
 * there is no such one. Write all inputs, in any order, before a run. */
int8_t *nano_input_at(const nano_net *net, uint16_t index);
const int8_t *nano_output_at(const nano_net *net, uint16_t index);

/* State `index`, model->states[index].tensor.size bytes; NULL if there is no such one. Between runs
 * it may be read, and written, by whoever knows what it means. Valid as long as `net`. */
void *nano_state_at(const nano_net *net, uint16_t index);

/* Run the whole model, or what remains of it after nano_step(): one step of a sequence where it has
 * states. NANO_OK or NANO_ERR_ARGUMENT. */
nano_status nano_run(nano_net *net);

/* Run one op. NANO_MORE: ops remain. NANO_OK: that was the last one, the output is ready and the
 * next call begins another inference. For a watchdog, a scheduler, a check after every layer. */
nano_status nano_step(nano_net *net);

/* Drop an inference that nano_step() began: the next call starts with the first op. States that
 * its ops have written stay as they are: nano_load_state() what was saved before it, or
 * nano_reset(). */
void nano_rewind(nano_net *net);

/* Call `observer` around every op from now on; NULL for none. */
void nano_observe(nano_net *net, nano_observer observer, void *user);

/* The output tensor of op `op` (out_size bytes), right after it ran; NULL if there is no such op.
 */
const int8_t *nano_op_output(const nano_net *net, uint16_t op);

/* --- Saving states ------------------------------------------------------------------------------
 *
 * To go on later where a sequence was left, to run a step twice, or to follow several sequences
 * with one net. Saved bytes begin with three uint32_t in the machine's byte order: a number that
 * tells model and NANO_ABI, the bytes that follow the header, and their CRC-32 (IEEE 802.3, as in
 * zlib); then the states, one behind the other. */
#define NANO_STATE_HEADER 12u

/* Bytes that nano_save_state() writes: the header and every state (a generated model's
 * NAME_SAVED_STATE_SIZE); 0 for a model without states. */
size_t nano_saved_state_size(const nano_model *model);

/* Copy all states to `bytes`, of which `size` are there. Call it between inferences.
 * NANO_ERR_ARGUMENT for a NULL, NANO_ERR_STATE within an inference or for a model without states,
 * NANO_ERR_MEMORY if `size` is too small; then nothing is written. */
nano_status nano_save_state(const nano_net *net, void *bytes, size_t size);

/* Take saved states over, and drop an inference that nano_step() began: the next run is the one
 * that would have followed when they were saved. NANO_ERR_ARGUMENT for a NULL or another `size`,
 * NANO_ERR_STATE for a model without states, NANO_ERR_ABI for those of another model,
 * NANO_ERR_CHECKSUM for damaged ones; then the states are as they were. */
nano_status nano_load_state(nano_net *net, const void *bytes, size_t size);

#ifdef __cplusplus
}
#endif
#endif
