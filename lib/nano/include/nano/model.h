/* nano/model.h - a model is const data in flash; a net is one model at work in an arena. */
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

/* What a border tensor's elements are; int32 and float32 are in the machine's byte order. */
typedef enum { NANO_INT8 = 0, NANO_UINT8 = 1, NANO_INT32 = 2, NANO_FLOAT32 = 3 } nano_type;

/* A tensor at the model's border: real = scale * (q - zero_point) if it is int8 or uint8. */
typedef struct {
    uint32_t offset;    /* bytes from the start of the model's room in the arena */
    uint32_t size;      /* bytes */
    uint16_t shape[4];  /* outermost first (H, W, C for an image); unused trailing ones are 0 */
    float scale;        /* > 0; 1 for int32 and float32 */
    int32_t zero_point; /* -128..127; uint8: 0..255; 0 for int32 and float32 */
    nano_type type;     /* of the elements; also aligned to their size */
} nano_tensor;

/* A model. The generated source defines it `const`; it refers to const data only. */
typedef struct {
    uint32_t abi;                /* NANO_ABI of the generated source */
    const char *name;            /* as exported: a C identifier */
    const char *hash;            /* 16 hex digits that identify the quantized graph */
    const nano_op *ops;          /* run in this order */
    const char *const *op_names; /* one per op: the module's name; NULL if they were left out */
    uint16_t op_count;           /* may be 0: then the output is the input's bytes */
    uint32_t arena_size;         /* bytes of arena the model needs: tensors and scratch */
    nano_tensor input;
    nano_tensor output;
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

/* Take model->arena_size bytes from `arena` and make `net` ready to run. `model` and the arena's
 * bytes must outlive `net`. NANO_ERR_ABI, NANO_ERR_MEMORY, NANO_ERR_ARGUMENT; then nothing is
 * taken. */
nano_status nano_init(nano_net *net, const nano_model *model, nano_arena *arena);

/* The input tensor, model->input.size bytes, H, W, C, of model->input.type. Write it before every
 * inference: a model may reuse its room for other tensors while it runs. Valid as long as `net`. */
int8_t *nano_input(const nano_net *net);

/* The output tensor, model->output.size bytes; holds an answer after an inference has ended and
 * until the next one begins or the input is written. Valid as long as `net`. */
const int8_t *nano_output(const nano_net *net);

/* Run the whole model, or what remains of it after nano_step(). NANO_OK or NANO_ERR_ARGUMENT. */
nano_status nano_run(nano_net *net);

/* Run one op. NANO_MORE: ops remain. NANO_OK: that was the last one, the output is ready and the
 * next call begins another inference. For a watchdog, a scheduler, a check after every layer. */
nano_status nano_step(nano_net *net);

/* Drop an inference that nano_step() began: the next call starts with the first op. */
void nano_rewind(nano_net *net);

/* Call `observer` around every op from now on; NULL for none. */
void nano_observe(nano_net *net, nano_observer observer, void *user);

/* The output tensor of op `op` (out_size bytes), right after it ran; NULL if there is no such op.
 */
const int8_t *nano_op_output(const nano_net *net, uint16_t op);

#ifdef __cplusplus
}
#endif
#endif
