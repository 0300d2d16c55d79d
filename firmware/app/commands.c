/* commands.c - the dispatch table, and what it alone knows: help. */
#include "commands.h"

#include <stddef.h>

#include "baud.h"
#include "chosen.h"
#include "format.h"
#include "inference.h"
#include "input.h"

static bool command_help(unsigned count, char *const words[]);

const command commands[] = {
    {"name", command_name, "name", "who is there", 1},
    {"profile", command_profile, "profile", "the benchmark's version, the model's name", 1},
    {"timestamp", command_timestamp, "timestamp", "microseconds since start-up", 1},
    {"help", command_help, "help", "these lines", 1},
#ifdef SEVERAL_INPUTS
    {"db", command_db, "db load N [INPUT] | db HH... | db print", "load inputs in hex, show them",
     4},
#else
    {"db", command_db, "db load N | db HH... | db print", "load the input in hex, show it", 3},
#endif
    {"infer", command_infer, "infer [N [W]]", "W warm-up inferences, then N timed ones", 3},
    {"time", command_infer, "time [N [W]]", "infer without the results", 3},
#ifdef SEVERAL_OUTPUTS
    {"results", command_results, "results [OUTPUT]", "the newest outputs, de-quantized", 2},
#else
    {"results", command_results, "results", "the newest output, de-quantized", 1},
#endif
    {"info", command_info, "info", "versions, clocks, the model", 1},
    {"mem", command_mem, "mem", "bytes of RAM, stack and flash", 1},
    {"layers", command_layers, "layers", "ticks and output CRC of every layer", 1},
    {"dump", command_dump, "dump [I]", "the output, or that of op I, as frames", 2},
    {"crc", command_crc, "crc", "CRC-32 of image, input and output", 1},
#ifdef APP_MODEL_COUNT
    {"model", command_model, "model [MODEL]", "the models; choose one by number or name", 2},
#endif
#ifdef APP_SAVED_STATE_SIZE
    {"state", command_state, "state [reset|fetch|put SIZE]", "what the model remembers", 3},
#endif
#ifdef APP_STREAM
    {"stream", command_stream, "stream [begin|status|step|feed HH...]", "samples to decisions", 3},
#endif
#ifdef APP_SENSOR
    {"sensor", command_sensor, "sensor [begin|read AT|end]", "what the board's sensor gives", 3},
#endif
#ifdef APP_DETECT
    {"start", command_start, "start", "listen to the sensor", 1},
    {"stop", command_stop, "stop", "no longer; the outputs since then", 1},
#endif
#ifdef APP_TRAIN
    {"train", command_train, "train WORD ...", "train the head: train help", 4},
#endif
#ifdef APP_BAUD
    {"baud", command_baud, "baud [RATE]", "the line's rate from the next answer on; 0: the first",
     2},
#endif
    {"reset", command_reset, "reset", "start over", 1},
    {NULL, NULL, NULL, NULL, 0},
};

static bool command_help(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    for (const command *c = commands; c->name != NULL; c++) {
        put_text(c->usage);
        put_text(": ");
        put_text(c->help);
        put_line_end();
    }
    return true;
}

bool ready_to_run(void) {
    if (inference_status() != NANO_OK) {
        put_open("e");
        put_text("No model: ");
        put_text(nano_status_text(inference_status()));
        put_close();
        return false;
    }
    if (!input_whole()) {
        put_open("e");
        put_text("No input: ");
        put_unsigned(input_loaded());
        put_text(" of ");
        put_unsigned(input_size());
        put_text(" bytes loaded");
        put_close();
        return false;
    }
    return true;
}

bool ready_to_infer(void) {
    if (!ready_to_run())
        return false;
    if (!inference_prepare()) {
        put_error("No head: train put, train load or train reset");
        return false;
    }
    return true;
}
