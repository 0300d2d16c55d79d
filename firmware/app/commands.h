/* commands.h - what the console can be asked.
 *
 * A command is called with its words (words[0] is its name, 1 <= count <= max_words). It checks
 * them before it does anything and answers with lines; the console adds the last one, m-ready. */
#ifndef APP_COMMANDS_H
#define APP_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

/* Most words of any command, its name included. */
#define MAX_WORDS 4u

/* False: the words are not what the usage says, nothing was done; the console says so. */
typedef bool (*command_handler)(unsigned count, char *const words[]);

typedef struct {
    const char *name;
    command_handler run;
    const char *usage;
    const char *help;
    uint8_t max_words;
    uint8_t looks; /* most words with which it changes nothing; `status` behind it never does */
} command;

/* `APP_CONSOLE_READ_ONLY` in app_model.h: nothing that the line brings changes what the board does.
 * What would, is refused, and those that only would are not compiled in. */
bool command_refused(unsigned count, char *const words[]);

/* All of them; ends with a NULL name. */
extern const command commands[];

/* commands_mlperf.c: the set that MLPerf Tiny's runner uses. */
bool command_name(unsigned count, char *const words[]);
bool command_profile(unsigned count, char *const words[]);
bool command_timestamp(unsigned count, char *const words[]);
bool command_infer(unsigned count, char *const words[]);
bool command_results(unsigned count, char *const words[]);

/* commands_nano.c: ours. */
bool command_info(unsigned count, char *const words[]);
bool command_mem(unsigned count, char *const words[]);
bool command_layers(unsigned count, char *const words[]);
bool command_dump(unsigned count, char *const words[]);
bool command_crc(unsigned count, char *const words[]);
bool command_reset(unsigned count, char *const words[]);

/* baud.c; if baud.h defines APP_BAUD. */
bool command_baud(unsigned count, char *const words[]);

/* commands_model.c; if app_model.h defines APP_MODEL_COUNT. */
bool command_model(unsigned count, char *const words[]);
void put_models(const char *tag); /* a line of this tag for each: number, name, hash */

/* commands_train.c; if app_model.h defines APP_TRAIN. */
bool command_train(unsigned count, char *const words[]);
void train_take_frame(const frame_view *frame); /* of type W: a piece of a head; answers it */

/* commands_state.c; if app_model.h defines APP_SAVED_STATE_SIZE. */
bool command_state(unsigned count, char *const words[]);
void state_take_frame(const frame_view *frame); /* of type S: a piece of saved states */

/* commands_stream.c; if app_model.h defines APP_STREAM. */
bool command_stream(unsigned count, char *const words[]);
void stream_take_frame(const frame_view *frame); /* of type P: samples; answers it */

/* Can the model listen? Of several not every one does. Else says why not. */
bool ready_to_listen(void);

/* commands_sensor.c; if app_model.h defines APP_SENSOR. */
bool command_sensor(unsigned count, char *const words[]);

/* detect.c; if app_model.h defines APP_DETECT. */
bool command_start(unsigned count, char *const words[]);
bool command_stop(unsigned count, char *const words[]);

/* load.c */
bool command_db(unsigned count, char *const words[]);

/* Can the model run, being ready and the input whole? Else says why not. */
bool ready_to_run(void);

/* The same for an inference, which also needs the head, if there is one; makes it ready. */
bool ready_to_infer(void);

#endif
