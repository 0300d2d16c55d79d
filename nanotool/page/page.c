/* page.c - the model behind a page's script: WebAssembly without a libc (nanotool/page/wasm.py).
 *
 * MODEL_H is the generated header, MODEL the model in it and ARENA_SIZE the bytes that it takes;
 * STREAM, if it listens, what is around it. One model is at work, in one arena. Pointers are
 * places in the module's memory, which the script reads and writes by itself. */
#include "nano/model.h"
#include "nano/stream.h"

#include MODEL_H

#define EXPORT(name) __attribute__((export_name(#name)))
#define SCRIPT(name) __attribute__((import_module("script"), import_name(#name)))

/* The script's: op `op` has written `output`; a stream has done a step. */
SCRIPT(op_end) void op_end(uint32_t op, const void *output);
SCRIPT(step_end) void step_end(uint32_t decisions);

NANO_ALIGNED static uint8_t bytes[ARENA_SIZE];
static nano_arena arena;

/* What clang may make of loops and of structs that are copied. */
void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    return __builtin_memcpy(to, from, n);
}

void *memset(void *to, int value, size_t n) {
    return __builtin_memset(to, value, n);
}

static void observe(void *user, const nano_net *net, uint16_t op, nano_event event) {
    (void)user;
    if (event == NANO_OP_END)
        op_end(op, nano_op_output(net, op));
}

#ifdef STREAM

static nano_stream stream;
static int16_t sound[1024];
static nano_net *const net = &stream.net;

static void listen(void *user, const nano_stream *listened, size_t decisions) {
    (void)user;
    (void)listened;
    step_end((uint32_t)decisions);
}

static nano_status begin(void) {
    nano_status status = nano_stream_init(&stream, &STREAM, &arena);
    nano_stream_listen(&stream, listen, NULL);
    return status;
}

/* Where samples are put for feed(), int16. */
EXPORT(samples) int16_t *samples(void) {
    return sound;
}

/* Take the first n of them. */
EXPORT(feed) void feed(uint32_t n) {
    nano_stream_feed(&stream, sound, n);
}

/* The newest frame's features; the newest step's sums, one a class of the rule, and decisions. */
EXPORT(frame) const uint16_t *frame(void) {
    return stream.frame;
}

EXPORT(sums) const int32_t *sums(void) {
    return stream.decider.sums;
}

EXPORT(decisions) const nano_decision *decisions(void) {
    return stream.decider.made;
}

EXPORT(forget) void forget(void) {
    nano_stream_reset(&stream);
}

#else

static nano_net alone;
static nano_net *const net = &alone;

static nano_status begin(void) {
    return nano_init(net, &MODEL, &arena);
}

#endif

/* Make the model ready, and tell the script of every op if `watched`. A nano_status. */
EXPORT(start) int start(int watched) {
    nano_arena_init(&arena, bytes, sizeof bytes);
    nano_status status = begin();
    nano_observe(net, watched ? observe : NULL, NULL);
    return (int)status;
}

EXPORT(input) void *input(uint32_t index) {
    return nano_input_at(net, (uint16_t)index);
}

EXPORT(output) const void *output(uint32_t index) {
    return nano_output_at(net, (uint16_t)index);
}

/* One inference; the next step of a model with states. */
EXPORT(run) int run(void) {
    return (int)nano_run(net);
}

/* Give every state its initial value. */
EXPORT(reset) void reset(void) {
    nano_reset(net);
}
