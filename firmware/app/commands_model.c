/* commands_model.c - which of several models runs: `model [MODEL]` (docs/console.md). */
#include "commands.h"

#include "chosen.h"

#ifdef APP_MODEL_COUNT

#include "format.h"
#include "inference.h"
#include "parse.h"

void put_models(const char *tag) {
    for (unsigned i = 0; i < APP_MODEL_COUNT; i++) {
        put_open(tag);
        put_unsigned(i);
        put_text(" ");
        put_text(chosen_at(i)->name);
        put_text(" ");
        put_text(chosen_at(i)->hash);
        put_close();
    }
}

/* The number of the model that `word` means, its number or its name; APP_MODEL_COUNT: none. */
static uint32_t find(const char *word) {
    uint32_t number;
    if (parse_unsigned(word, APP_MODEL_COUNT - 1u, &number))
        return number;
    for (number = 0; number < APP_MODEL_COUNT; number++) {
        if (same_text(chosen_at(number)->name, word))
            break;
    }
    return number;
}

bool command_model(unsigned count, char *const words[]) {
    if (count == 1) {
        put_models("m-models");
    } else {
        const uint32_t number = find(words[1]);
        if (number == APP_MODEL_COUNT) {
            put_open("e");
            put_text("There is no such model: ");
            put_text(words[1]);
            put_close();
            return true;
        }
        if (inference_choose(number) != NANO_OK) {
            (void)ready_to_run(); /* says why */
            return true;
        }
    }
    put_open("m-model-chosen");
    put_unsigned(chosen_number());
    put_text(" ");
    put_text(inference_model()->name);
    put_close();
    return true;
}

#endif
