/* commands_nano.c - what our firmware can tell beyond MLPerf Tiny's set. */
#include <stddef.h>
#include <string.h>

#include "board.h"
#include "commands.h"
#include "crc32.h"
#include "format.h"
#include "frame.h"
#include "head.h"
#include "inference.h"
#include "input.h"
#include "parse.h"
#include "result.h"

static void put_text_line(const char *tag, const char *text) {
    put_open(tag);
    put_text(text);
    put_close();
}

static void put_number_line(const char *tag, uint32_t value) {
    put_open(tag);
    put_unsigned(value);
    put_close();
}

static void put_pair_line(const char *tag, uint32_t first, uint32_t second) {
    put_open(tag);
    put_unsigned(first);
    put_text(" ");
    put_unsigned(second);
    put_close();
}

static const char *type_name(nano_type type) {
    static const char names[][8] = {"int8", "uint8", "int32", "float32", "int16"}; /* nano_type */
    return names[type];
}

/* Where there are states or several ends, they have names. */
#if defined(SEVERAL_INPUTS) || defined(SEVERAL_OUTPUTS) || defined(APP_SAVED_STATE_SIZE)
#define NAMED
#endif

/* `TAG-[28x28x1 3b808081 -128 int8]`: shape, the scale's bits, zero point, type; name. */
static void put_tensor_line(const char *tag, const nano_tensor *tensor) {
    uint32_t scale_bits;
    memcpy(&scale_bits, &tensor->scale, sizeof scale_bits);
    put_open(tag);
    put_unsigned(tensor->shape[0]);
    for (unsigned i = 1; i < 4 && tensor->shape[i] != 0; i++) {
        put_text("x");
        put_unsigned(tensor->shape[i]);
    }
    put_text(" ");
    put_hex(scale_bits, 8);
    put_text(" ");
    put_signed(tensor->zero_point);
    put_text(" ");
    put_text(type_name(tensor->type));
#ifdef NAMED
    put_text(" ");
    put_text(tensor->name != NULL ? tensor->name : "-");
#endif
    put_close();
}

static void put_ends(const nano_model *model) {
    for (unsigned i = 0; i < INPUT_COUNT; i++)
        put_tensor_line("m-info-input", &model->inputs[i]);
    for (unsigned i = 0; i < OUTPUT_COUNT; i++)
        put_tensor_line("m-info-output", inference_tensor_at(i));
#ifdef APP_SAVED_STATE_SIZE
    for (unsigned i = 0; i < model->state_count; i++)
        put_tensor_line("m-info-state", &model->states[i].tensor);
#endif
}

bool command_info(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    const nano_model *const model = inference_model();
    put_text_line("m-info-version", NANO_VERSION_STRING);
    put_number_line("m-info-abi", NANO_ABI);
    put_text_line("m-info-board", board_name());
    put_number_line("m-info-clock", board_core_hz());
    put_open("m-info-ticks");
    put_text(board_tick_source());
    put_text(" ");
    put_unsigned(board_tick_hz());
    put_close();
    put_text_line("m-info-model", model->name);
    put_text_line("m-info-hash", model->hash);
    put_number_line("m-info-ops", model->op_count);
#ifdef APP_MODEL_COUNT
    put_models("m-info-models");
#endif
    put_ends(model);
    put_open("m-info-db");
    put_text(INPUT_COUNT > 1 ? "bytes" : type_name(input_type()));
    put_text(" ");
    put_unsigned(input_size());
    put_close();
    put_number_line("m-info-frame", FRAME_MAX_DATA);
    return true;
}

bool command_mem(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    board_memory_info memory = {0};
    board_memory(&memory);
    put_number_line("m-mem-arena", inference_arena_size());
    put_number_line("m-mem-db", input_room());
#ifdef APP_SAVED_STATE_SIZE
    if (SAVED_STATE_SIZE != 0)
        put_pair_line("m-mem-state", STATE_SIZE, APP_SAVED_STATE_SIZE);
#endif
    put_pair_line("m-mem-static", memory.ram_static, memory.ram_size);
    put_pair_line("m-mem-stack", memory.stack_peak, memory.stack_size);
    put_pair_line("m-mem-flash", memory.flash_used, memory.flash_size);
    if (memory.heap_size > 0)
        put_pair_line("m-mem-heap", memory.heap_peak, memory.heap_size);
    head_put_memory();
    return true;
}

/* Called around every op. The clock is read last before the op and first behind it, so that what
 * is printed here does not count. `user` is the tick at which the op began. */
static void watch_layer(void *user, const nano_net *net, uint16_t op, nano_event event) {
    uint32_t *const begin = (uint32_t *)user;
    if (event == NANO_OP_BEGIN) {
        board_flush();
        *begin = board_ticks();
        return;
    }
    const uint32_t ticks = board_ticks() - *begin;
    const nano_model *const model = net->model;
    put_open("m-layer");
    put_unsigned(op);
    put_text(" ");
    put_unsigned(ticks);
    put_text(" ");
    put_hex(crc32_update(0, nano_op_output(net, op), model->ops[op].out_size), 8);
    put_text(" ");
    put_text(model->op_names != NULL ? model->op_names[op] : "-");
    put_close();
}

bool command_layers(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    if (!ready_to_infer())
        return true;
    board_flush();
    const uint32_t total = inference_time();
    uint32_t begin;
    inference_watch(watch_layer, &begin);
    result_take();
    put_pair_line("m-layers", inference_model()->op_count, total);
    return true;
}

static void put_dump(const int8_t *bytes, uint32_t size, const char *op) {
    frame_send_all('T', (const uint8_t *)bytes, size);
    put_open("m-dump");
    put_text(op);
    put_text(" ");
    put_unsigned(size);
    put_text(" ");
    put_hex(crc32_update(0, bytes, size), 8);
    put_close();
}

static bool dump_op(const char *word) {
    const nano_model *const model = inference_model();
    uint32_t op;
    if (!parse_unsigned(word, UINT32_MAX, &op))
        return false;
    if (op >= model->op_count) {
        put_open("e");
        put_text("The model has ops 0 to ");
        put_signed((int32_t)model->op_count - 1);
        put_close();
    } else if (ready_to_infer()) {
        put_dump(inference_run_to((uint16_t)op), model->ops[op].out_size, word);
        inference_finish();
        result_take();
    }
    return true;
}

bool command_dump(unsigned count, char *const words[]) {
    if (count > 1)
        return dump_op(words[1]);
    if (inference_output() == NULL) {
        put_error("No results yet");
        return true;
    }
    for (unsigned i = 0; i < OUTPUT_COUNT; i++)
        put_dump(inference_output_at(i), inference_tensor_at(i)->size, "-");
    return true;
}

/* `TAG-[XXXXXXXX]`, or `TAG-[-]` where there is nothing to take a CRC of. */
static void put_crc_line(const char *tag, const void *bytes, uint32_t size) {
    put_open(tag);
    if (bytes != NULL && size != 0)
        put_hex(crc32_update(0, bytes, size), 8);
    else
        put_text("-");
    put_close();
}

bool command_crc(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    const uint8_t *image;
    uint32_t image_size;
    board_image(&image, &image_size);
    put_crc_line("m-crc-image", image, image_size);
    put_crc_line("m-crc-input", input_whole() ? input_bytes() : NULL, input_size());
    for (unsigned i = 0; i < OUTPUT_COUNT; i++)
        put_crc_line("m-crc-output", inference_output_at(i), inference_tensor_at(i)->size);
    return true;
}

bool command_reset(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    board_flush();
    board_reset();
    return true; /* not reached on a board */
}
