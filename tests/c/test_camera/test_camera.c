/* Pictures by lines: what is refused, the room they take, and a frame to a model's answer. More of
 * them, and all settings, in tests/python/test_camera.py. */
#include "../check/check.h"

#include "nano/nano.h"
#include "nano/signal/camera.h"

static uint8_t values[3 * 256];
static const uint16_t weights[] = {0, 0, 1, 128};
static const nano_camera_params grey = {
    .channels = 1, .width = 4, .height = 4, .out_width = 2, .out_height = 2, .values = values};
static nano_arena arena;
static uint64_t room[16];

/* 1 if these params are refused, and nothing is taken for them. */
static int refused(const nano_camera_params *params) {
    nano_camera camera;
    nano_arena_init(&arena, room, sizeof room);
    return nano_camera_init(&camera, params, &arena) == NANO_ERR_ARGUMENT && arena.used == 0;
}

static void test_bad_numbers_are_refused(void) {
    nano_camera_params bad = grey;
    CHECK(!refused(&bad));
    bad.width = 0;
    CHECK(refused(&bad));
    bad.width = bad.height = 4097; /* more than 2^24 pixels */
    CHECK(refused(&bad));
    bad = grey;
    bad.out_width = 0;
    CHECK(refused(&bad));
    bad = grey;
    bad.out_height = 0;
    CHECK(refused(&bad));
    bad = grey;
    bad.channels = 2;
    CHECK(refused(&bad));
    bad.channels = 3;
    CHECK(!refused(&bad));
    bad.values = NULL;
    CHECK(refused(&bad));
    bad = grey;
    bad.resize = NANO_CAMERA_BILINEAR;
    CHECK(refused(&bad));
    bad.columns = weights;
    CHECK(refused(&bad));
    bad.rows = weights;
    CHECK(!refused(&bad));
    CHECK(refused(NULL));
    nano_camera camera;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_camera_init(NULL, &grey, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_camera_init(&camera, &grey, NULL));
}

static void test_memory_is_refused_and_given_back(void) {
    nano_camera camera;
    const size_t need = 2 * 2 * sizeof(uint32_t); /* two lines of the picture that comes out */
    for (size_t size = 0; size <= need; size++) {
        nano_arena_init(&arena, room, size);
        const nano_status status = nano_camera_init(&camera, &grey, &arena);
        CHECK_EQUAL(size < need ? NANO_ERR_MEMORY : NANO_OK, status);
        CHECK_EQUAL(size < need ? 0 : (int32_t)need, (int32_t)arena.used);
    }
}

/* A model without layers: its output is the picture. */
static void test_a_frame_to_an_answer(void) {
    static const nano_tensor tensor = {.size = 4, .shape = {2, 2, 1}, .scale = 1.0f};
    static const nano_model model = {.abi = NANO_ABI,
                                     .name = "picture",
                                     .hash = "0123456789abcdef",
                                     .inputs = &tensor,
                                     .outputs = &tensor,
                                     .input_count = 1,
                                     .output_count = 1,
                                     .arena_size = 4};
    /* 5 bytes a line, of which 4 are looked at */
    static const uint8_t frame[] = {10, 20, 30, 40, 99, 30, 40,  50,  60,  99,
                                    0,  1,  2,  3,  99, 1,  255, 255, 255, 99};
    static const uint8_t picture[] = {25, 45, 64, 129}; /* means, halves up; 64.25, 128.75 */
    nano_camera camera;
    nano_net net;
    for (int i = 0; i < 256; i++)
        values[i] = (uint8_t)i;
    nano_arena_init(&arena, room, sizeof room);
    CHECK_EQUAL(NANO_OK, nano_init(&net, &model, &arena));
    CHECK_EQUAL(NANO_OK, nano_camera_init(&camera, &grey, &arena));
    for (int again = 0; again < 2; again++) {
        CHECK_EQUAL(NANO_OK, nano_camera_run(&camera, &net, frame, 5));
        CHECK_BYTES((const int8_t *)picture, nano_output(&net), 4);
    }
}

int main(void) {
    check_begin();
    RUN(test_bad_numbers_are_refused);
    RUN(test_memory_is_refused_and_given_back);
    RUN(test_a_frame_to_an_answer);
    return check_end();
}
