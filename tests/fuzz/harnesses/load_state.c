/* Saved states of a model from anywhere: taken or refused; what is refused changes nothing, what is
 * taken is saved again as it came, and the model runs on.
 *
 * The first byte says how much of the header is set right: 0 nothing, 1 all but the checksum, 2
 * all. The rest is what was saved. */
#include "../c/fuzz.h"

#include <string.h>

#include "crc32.h"
#include "nano/nano.h"

#define ROOM 64u
#define MOST 256u

/* Two states, and an op that reads one and writes the other. */
static void mix(const void *params, const nano_io *io) {
    (void)params;
    for (unsigned i = 0; i < 8; i++)
        ((int8_t *)io->out)[i] = (int8_t)(((const int8_t *)io->in[0])[i] ^ 0x55);
}

static const nano_op ops[] = {
    {.run = mix, .in = {0, NANO_NONE}, .out = 8, .scratch = NANO_NONE, .out_size = 8},
};
static const nano_tensor input = {40, 8, {8, 0, 0, 0}, 1.0f, 0, NANO_INT8, NULL};
static const nano_tensor output = {8, 8, {8, 0, 0, 0}, 1.0f, 0, NANO_INT8, NULL};
static const int8_t initial[8] = {1, 2, 3, 4, 5, 6, 7, 8};
static const nano_state states[] = {
    {{0, 8, {8, 0, 0, 0}, 1.0f, 0, NANO_INT8, NULL}, initial, 0},
    {{16, 5, {5, 0, 0, 0}, 1.0f, 0, NANO_INT8, NULL}, NULL, 7},
};
static const nano_model model = {
    .abi = NANO_ABI,
    .name = "remembers",
    .hash = "0123456789abcdef",
    .ops = ops,
    .inputs = &input,
    .outputs = &output,
    .states = states,
    .op_count = 1,
    .input_count = 1,
    .output_count = 1,
    .state_count = 2,
    .arena_size = 48,
};

static void fix(uint32_t how, const uint8_t *right, uint8_t *given, size_t size) {
    if (how == 0 || size < NANO_STATE_HEADER)
        return;
    memcpy(given, right, how == 1 ? 8 : NANO_STATE_HEADER);
    if (how == 2) {
        const uint32_t crc = crc32_update(0, given + NANO_STATE_HEADER, size - NANO_STATE_HEADER);
        memcpy(given + 8, &crc, sizeof crc);
    }
}

static void check(nano_net *net, uint32_t how, const uint8_t *data, size_t size) {
    const size_t whole = nano_saved_state_size(&model);
    uint8_t before[ROOM], after[ROOM];
    FUZZ_CHECK(whole <= sizeof before);
    FUZZ_CHECK(nano_save_state(net, before, sizeof before) == NANO_OK);
    uint8_t *const given = (uint8_t *)malloc(size + 1);
    FUZZ_CHECK(given != NULL);
    memcpy(given, data, size);
    fix(how, before, given, size);
    const nano_status status = nano_load_state(net, given, size);
    FUZZ_CHECK(nano_save_state(net, after, sizeof after) == NANO_OK);
    FUZZ_CHECK(memcmp(after, status == NANO_OK ? given : before, whole) == 0);
    FUZZ_CHECK(how != 2 || size != whole || status == NANO_OK);
    free(given);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, data + size};
    const uint32_t how = fuzz_below(&in, 3);
    nano_net net;
    nano_arena arena;
    void *bytes = NULL;
    FUZZ_CHECK(posix_memalign(&bytes, 16, model.arena_size) == 0);
    FUZZ_CHECK(nano_arena_init(&arena, (uint8_t *)bytes, model.arena_size) == NANO_OK);
    FUZZ_CHECK(nano_init(&net, &model, &arena) == NANO_OK);
    const size_t rest = (size_t)(in.end - in.at);
    check(&net, how, in.at, rest < MOST ? rest : MOST);
    FUZZ_CHECK(nano_run(&net) == NANO_OK);
    free(bytes);
    return 0;
}
