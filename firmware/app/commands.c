/* commands.c - the dispatch table, and what it alone knows: help. */
#include "commands.h"

#include <stddef.h>

#include "baud.h"
#include "chosen.h"
#include "format.h"
#include "inference.h"
#include "input.h"

static bool command_help(unsigned count, char *const words[]);

#ifdef APP_CONSOLE_READ_ONLY
#define CHANGES(handler) command_refused

bool command_refused(unsigned count, char *const words[]) {
    (void)count;
    put_open("e");
    put_text("Read-only console: ");
    put_text(words[0]);
    put_text(" is refused");
    put_close();
    return true;
}
#else
#define CHANGES(handler) handler
#endif

const command commands[] = {
    {"name", command_name, "name", "who is there", 1, 1},
    {"profile", command_profile, "profile", "the benchmark's version, the model's name", 1, 1},
    {"timestamp", command_timestamp, "timestamp", "microseconds since start-up", 1, 1},
    {"help", command_help, "help", "these lines", 1, 1},
#ifdef SEVERAL_INPUTS
    {"db", CHANGES(command_db), "db load N [INPUT] | db HH... | db print",
     "load inputs in hex, show them", 4, 0},
#else
    {"db", CHANGES(command_db), "db load N | db HH... | db print", "load the input in hex, show it",
     3, 0},
#endif
    {"infer", CHANGES(command_infer), "infer [N [W]]", "W warm-up inferences, then N timed ones", 3,
     0},
    {"time", CHANGES(command_infer), "time [N [W]]", "infer without the results", 3, 0},
#ifdef SEVERAL_OUTPUTS
    {"results", command_results, "results [OUTPUT]", "the newest outputs, de-quantized", 2, 2},
#else
    {"results", command_results, "results", "the newest output, de-quantized", 1, 2},
#endif
    {"info", command_info, "info", "versions, clocks, the model", 1, 1},
    {"mem", command_mem, "mem", "bytes of RAM, stack and flash", 1, 1},
    {"layers", CHANGES(command_layers), "layers", "ticks and output CRC of every layer", 1, 0},
    {"dump", command_dump, "dump [I]", "the output, or that of op I, as frames", 2, 1},
    {"crc", command_crc, "crc", "CRC-32 of image, input and output", 1, 1},
#ifdef APP_MODEL_COUNT
    {"model", command_model, "model [MODEL]", "the models; choose one by number or name", 2, 1},
#endif
#ifdef APP_SAVED_STATE_SIZE
    {"state", command_state, "state [reset|fetch|put SIZE]", "what the model remembers", 3, 1},
#endif
#ifdef APP_STREAM
    {"stream", command_stream, "stream [begin|status|step|feed HH...]", "samples to decisions", 3,
     1},
#endif
#ifdef APP_SENSOR
    {"sensor", CHANGES(command_sensor), "sensor [begin|read AT|end]",
     "what the board's sensor gives", 3, 0},
#endif
#ifdef APP_DETECT
    {"start", CHANGES(command_start), "start", "listen to the sensor", 1, 0},
    {"stop", CHANGES(command_stop), "stop", "no longer; the outputs since then", 1, 0},
#endif
#ifdef APP_TRAIN
    {"train", command_train, "train WORD ...", "train the head: train help", 4, 0},
#endif
#ifdef APP_BAUD
    {"baud", command_baud, "baud [RATE]", "the line's rate from the next answer on; 0: the first",
     2, 2},
#endif
    {"reset", CHANGES(command_reset), "reset", "start over", 1, 0},
    {NULL, NULL, NULL, NULL, 0, 0},
};

static bool command_help(unsigned count, char *const words[]) {
    (void)count;
    (void)words;
    for (const command *c = commands; c->name != NULL; c++) {
#ifdef APP_CONSOLE_READ_ONLY
        if (c->run == command_refused)
            continue;
#endif
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
