/* A stream of any parameters, fed samples: what is refused leaves the arena as it was; in whatever
 * pieces the samples come, through the ring or not, steps and decisions are the same. */
#include "../c/fuzz.h"

#include <string.h>

#include "app_model.h"

#define ROOM 4096u
#define MOST 1024u /* samples */
#define CLASSES 4u
#define RING 64u

typedef struct {
    uint32_t steps, decisions, sum; /* `sum`: of all that was decided, in order */
} seen;

static void listen(void *user, const nano_stream *stream, size_t decisions) {
    seen *const all = (seen *)user;
    FUZZ_CHECK(decisions == stream->decider.made_count);
    FUZZ_CHECK(decisions <= stream->params->rule->top);
    all->steps++;
    all->decisions += (uint32_t)decisions;
    for (size_t i = 0; i < decisions; i++) {
        const nano_decision *const made = &stream->decider.made[i];
        FUZZ_CHECK(made->place < stream->params->rule->class_count);
        all->sum = all->sum * 31u + made->step * 7u + made->index + (uint32_t)made->sum;
    }
}

/* 1: `stream` takes these parameters. */
static int begin(nano_stream *stream, const nano_stream_params *params, uint8_t *room, size_t size,
                 seen *all) {
    nano_arena arena;
    FUZZ_CHECK(nano_arena_init(&arena, room, size) == NANO_OK);
    const size_t before = nano_arena_checkpoint(&arena);
    if (nano_stream_init(stream, params, &arena) != NANO_OK) {
        FUZZ_CHECK(nano_arena_checkpoint(&arena) == before);
        return 0;
    }
    memset(all, 0, sizeof *all);
    nano_stream_listen(stream, listen, all);
    nano_stream_reset(stream);
    return 1;
}

static int16_t samples[MOST];

static size_t read_samples(fuzz_input *in) {
    size_t n = 0;
    while (in->at < in->end && n < MOST)
        samples[n++] = (int16_t)fuzz_word(in);
    return n;
}

/* Through the ring, which leaves nothing out: it is emptied before it is full. */
static void through_ring(nano_stream *stream, size_t n) {
    int16_t room[RING];
    nano_ring ring;
    FUZZ_CHECK(nano_ring_init(&ring, room, RING) == NANO_OK);
    for (size_t at = 0, piece = 1; at < n; at += piece, piece = piece * 5u % 61u + 1u) {
        const size_t size = piece < n - at ? piece : n - at;
        FUZZ_CHECK(nano_ring_write(&ring, samples + at, size) == size);
        (void)nano_stream_pull(stream, &ring);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static _Alignas(16) uint8_t first_room[ROOM], second_room[ROOM];
    fuzz_input in = {data, data + size};
    nano_class classes[CLASSES];
    for (uint32_t i = 0; i < CLASSES; i++)
        classes[i] = (nano_class){(uint16_t)fuzz_below(&in, 9), (uint16_t)fuzz_byte(&in),
                                  (int32_t)fuzz_long(&in), (int32_t)fuzz_long(&in)};
    const nano_rule rule = {classes,
                            (uint16_t)fuzz_below(&in, CLASSES + 1),
                            (uint16_t)fuzz_below(&in, 40),
                            (uint16_t)fuzz_byte(&in),
                            (uint8_t)fuzz_below(&in, 6),
                            (uint8_t)(fuzz_byte(&in) & 1u)};
    nano_stream_params params = fuzz_stream;
    params.rule = &rule;
    params.hop = (uint16_t)fuzz_below(&in, 12);
    params.multiplier = (uint16_t)(fuzz_word(&in) % 16385u);
    params.addend = (int32_t)(fuzz_long(&in) % 1073741825u) - 536870912;
    params.divisor = (int32_t)fuzz_long(&in);
    const size_t room = fuzz_word(&in) % ROOM;
    nano_stream first, second;
    seen one, two;
    if (!begin(&first, &params, first_room, room, &one))
        return 0;
    FUZZ_CHECK(begin(&second, &params, second_room, room, &two));
    const size_t n = read_samples(&in);
    FUZZ_CHECK(nano_stream_feed(&first, samples, n) == one.decisions);
    through_ring(&second, n);
    FUZZ_CHECK(memcmp(&one, &two, sizeof one) == 0);
    FUZZ_CHECK(one.steps == first.decider.steps && two.steps == second.decider.steps);
    return 0;
}
