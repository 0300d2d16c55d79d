/* Front ends: what nanotool's twins compute (nanotool.signal), and what must hold of any sound. */
#include "../check/check.h"

#include "../../../lib/nano/src/signal/fft_dsp.h"
#include "../../../lib/nano/src/signal/wide.h"
#include "../../../lib/nano/src/simd.h"

#include "nano/nano.h"
#include "nano/signal/mel.h"
#include "nano/signal/micro_frontend.h"
#include "nano/signal/sensor.h"

/* --- FFT: 64 points are stages 4, 4, 2 of a complex 32; 128 are 4, 4, 4 ----------------------- */

static const int16_t twiddles_64[] = {
    32767,  0,      32137,  -6393,  30273,  -12539, 27245,  -18204, 23170,  -23170, 18204,
    -27245, 12539,  -30273, 6393,   -32137, 0,      -32767, -6393,  -32137, -12539, -30273,
    -18204, -27245, -23170, -23170, -27245, -18204, -30273, -12539, -32137, -6393,  -32767,
    0,      -32137, 6393,   -30273, 12539,  -27245, 18204,  -23170, 23170,  -18204, 27245,
    -12539, 30273,  -6393,  32137,  0,      32767,  6393,   32137,  12539,  30273,  18204,
    27245,  23170,  23170,  27245,  18204,  30273,  12539,  32137,  6393};
static const int16_t unpacking_64[] = {
    -3212,  -32609, -6393,  -32137, -9512,  -31356, -12539, -30273, -15446, -28898, -18204,
    -27245, -20787, -25329, -23170, -23170, -25329, -20787, -27245, -18204, -28898, -15446,
    -30273, -12539, -31356, -9512,  -32137, -6393,  -32609, -3212,  -32767, 0};
static const int16_t twiddles_128[] = {
    32767,  0,      32609,  -3212,  32137,  -6393,  31356,  -9512,  30273,  -12539, 28898,  -15446,
    27245,  -18204, 25329,  -20787, 23170,  -23170, 20787,  -25329, 18204,  -27245, 15446,  -28898,
    12539,  -30273, 9512,   -31356, 6393,   -32137, 3212,   -32609, 0,      -32767, -3212,  -32609,
    -6393,  -32137, -9512,  -31356, -12539, -30273, -15446, -28898, -18204, -27245, -20787, -25329,
    -23170, -23170, -25329, -20787, -27245, -18204, -28898, -15446, -30273, -12539, -31356, -9512,
    -32137, -6393,  -32609, -3212,  -32767, 0,      -32609, 3212,   -32137, 6393,   -31356, 9512,
    -30273, 12539,  -28898, 15446,  -27245, 18204,  -25329, 20787,  -23170, 23170,  -20787, 25329,
    -18204, 27245,  -15446, 28898,  -12539, 30273,  -9512,  31356,  -6393,  32137,  -3212,  32609,
    0,      32767,  3212,   32609,  6393,   32137,  9512,   31356,  12539,  30273,  15446,  28898,
    18204,  27245,  20787,  25329,  23170,  23170,  25329,  20787,  27245,  18204,  28898,  15446,
    30273,  12539,  31356,  9512,   32137,  6393,   32609,  3212};
static const int16_t unpacking_128[] = {
    -1608,  -32728, -3212,  -32609, -4808,  -32412, -6393,  -32137, -7962,  -31785, -9512,
    -31356, -11039, -30852, -12539, -30273, -14010, -29621, -15446, -28898, -16846, -28105,
    -18204, -27245, -19519, -26319, -20787, -25329, -22005, -24279, -23170, -23170, -24279,
    -22005, -25329, -20787, -26319, -19519, -27245, -18204, -28105, -16846, -28898, -15446,
    -29621, -14010, -30273, -12539, -30852, -11039, -31356, -9512,  -31785, -7962,  -32137,
    -6393,  -32412, -4808,  -32609, -3212,  -32728, -1608,  -32767, 0};
static const int16_t bins_64[] = {
    -5555, 0,     -3161, -962,  -1959, 1427,  -867,  1270,  -16,   3894,  801,   2159,  149,  1323,
    -308,  -708,  -918,  828,   -1334, 2584,  759,   924,   1070,  -1783, -3107, 1310,  -80,  1973,
    937,   -1471, -1158, 1673,  -218,  -485,  -1415, -678,  409,   2351,  -928,  -1341, 770,  884,
    -2653, -2086, 1286,  2733,  -1829, -585,  1072,  -2201, -1340, 1803,  -997,  -548,  -388, -1713,
    1028,  1408,  -1694, -1663, -1765, -2549, 2813,  -1917, 3633,  0};
static const int16_t bins_128[] = {
    -4446, 0,     -1639, -278, -1180, -2612, 1074,  717,   234,   2801,  -1422, 2953,  -1981,
    1725,  -2777, 311,   230,  1400,  -187,  1228,  -372,  446,   361,   -601,  428,   -208,
    1445,  84,    -398,  -477, -3,    -738,  524,   258,   236,   978,   -1024, 1581,  1396,
    593,   1370,  1229,  829,  1656,  -379,  -1131, 425,   -964,  -1988, 2532,  -1357, 1024,
    198,   758,   1050,  1806, -1002, -679,  -460,  -778,  -1387, 1427,  270,   -344,  -189,
    -14,   -634,  -221,  -979, -1167, -100,  762,   -745,  1435,  1464,  -1310, -123,  -4,
    -574,  -168,  1124,  1131, -313,  -1159, 391,   -1378, -2113, 2909,  511,   122,   1675,
    549,   -1328, -392,  584,  1920,  -313,  -1712, -324,  209,   -1940, 1255,  724,   56,
    -995,  -121,  77,    681,  -691,  -1293, -768,  1079,  -574,  56,    1722,  -812,  -1550,
    -481,  40,    -55,   -747, -1775, -297,  2447,  740,   -1223, -889,  429,   1662,  0};

static const nano_fft fft_64 = {64, twiddles_64, unpacking_64};
static const nano_fft fft_128 = {128, twiddles_128, unpacking_128};

/* Sample i of the sound below. */
static int32_t chirp(int32_t i) {
    return (i * i * 37 + i * 11) % 8001 - 4000;
}

static void transform(const nano_fft *fft, void (*run)(const nano_fft *, int16_t *),
                      int16_t *data) {
    uint32_t place = 0;
    for (int32_t i = 0; i < fft->size; i += 2) {
        data[2 * place] = (int16_t)(chirp(i) * 8);
        data[2 * place + 1] = (int16_t)(chirp(i + 1) * 8);
        place = nano_fft_next(fft, place);
    }
    run(fft, data);
}

static void test_recorded_transforms(void) {
#if NANO_SIMD
    static void (*const variants[])(const nano_fft *, int16_t *) = {nano_real_fft,
                                                                    nano_real_fft_dsp};
#else
    static void (*const variants[])(const nano_fft *, int16_t *) = {nano_real_fft};
#endif
    int16_t data[130];
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        transform(&fft_64, variants[v], data);
        for (int i = 0; i < 66; i++)
            CHECK_EQUAL(bins_64[i], data[i]);
        transform(&fft_128, variants[v], data);
        for (int i = 0; i < 130; i++)
            CHECK_EQUAL(bins_128[i], data[i]);
    }
}

static void test_every_place_comes_once(void) {
    uint32_t seen = 0, place = 0;
    for (int i = 0; i < 32; i++, place = nano_fft_next(&fft_64, place)) {
        CHECK(place < 32 && (seen >> place & 1u) == 0);
        seen |= 1u << place;
    }
    CHECK_EQUAL(-1, (int32_t)seen);
}

/* --- Micro frontend: 6 channels from 200 to 3,900 Hz, 7 ms every 5 ms at 8,000 Hz ------------- */

static const int16_t window[] = {
    3,    29,   80,   156,  256,  378,  521,  683,  863,  1057, 1264, 1481, 1705, 1933,
    2163, 2391, 2615, 2832, 3039, 3233, 3413, 3575, 3718, 3840, 3940, 4016, 4067, 4093,
    4093, 4067, 4016, 3940, 3840, 3718, 3575, 3413, 3233, 3039, 2832, 2615, 2391, 2163,
    1933, 1705, 1481, 1264, 1057, 863,  683,  521,  378,  256,  156,  80,   29,   3};
static const uint16_t bands[] = {1, 2, 3, 4, 5, 6, 8};
static const int16_t weights[] = {
    973,  3123, 3136, 960,  1395, 2701, 3906, 190,  2453, 1643, 1111, 2985, 3960, 136, 2795,
    1301, 1703, 2393, 675,  3421, 3800, 296,  2880, 1216, 2005, 2091, 1172, 2924, 377, 3719,
    3712, 384,  2982, 1114, 2282, 1814, 1609, 2487, 960,  3136, 334,  3762, 3826, 270, 3243,
    853,  2677, 1419, 2130, 1966, 1599, 2497, 1083, 3013, 583,  3513, 96,   4000};
static const int16_t gains[] = {
    32636, 32635, 32635, 1,     -2,   32634, 1,     -2,   32633, -5,    2,    32630,
    -6,    0,     32624, -12,   0,    32612, -23,   -2,   32587, -48,   0,    32539,
    -96,   0,     32443, -190,  0,    32253, -378,  4,    31879, -739,  18,   31158,
    -1409, 62,    29811, -2567, 202,  27446, -4301, 562,  23707, -6265, 1230, 18672,
    -7458, 1952,  13166, -7030, 2212, 8348,  -5342, 1868, 4874,  -3459, 1282, 2697,
    -2025, 774,   1446,  -1120, 436,  762,   -596,  232,  398,   -313,  122,  207,
    -164,  64,    107,   -85,   34,   56,    -45,   18,   29,    -22,   8,    15,
    -13,   6,     8,     -8,    4,    4,     -2,    0,    2,     -3,    2};
static const uint16_t logs[] = {
    0,    224,  442,  654,  861,  1063, 1259, 1450, 1636, 1817, 1992, 2163, 2329, 2490, 2646,
    2797, 2944, 3087, 3224, 3358, 3487, 3611, 3732, 3848, 3960, 4068, 4172, 4272, 4368, 4460,
    4549, 4633, 4714, 4791, 4864, 4934, 5001, 5063, 5123, 5178, 5231, 5280, 5326, 5368, 5408,
    5444, 5477, 5507, 5533, 5557, 5578, 5595, 5610, 5622, 5631, 5637, 5640, 5641, 5638, 5633,
    5626, 5615, 5602, 5586, 5568, 5547, 5524, 5498, 5470, 5439, 5406, 5370, 5332, 5291, 5249,
    5203, 5156, 5106, 5054, 5000, 4944, 4885, 4825, 4762, 4697, 4630, 4561, 4490, 4416, 4341,
    4264, 4184, 4103, 4020, 3935, 3848, 3759, 3668, 3575, 3481, 3384, 3286, 3186, 3084, 2981,
    2875, 2768, 2659, 2549, 2437, 2323, 2207, 2090, 1971, 1851, 1729, 1605, 1480, 1353, 1224,
    1094, 963,  830,  695,  559,  421,  282,  142,  0};
static const uint16_t features[] = {497, 449, 508, 460, 515, 460, 479, 428, 476, 416,
                                    490, 442, 495, 423, 469, 387, 408, 302, 430, 376,
                                    444, 392, 472, 418, 435, 378, 460, 414, 466, 395};

static const nano_micro_frontend_params params = {{64, twiddles_64, unpacking_64},
                                                  56,
                                                  40,
                                                  window,
                                                  6,
                                                  3,
                                                  bands,
                                                  weights,
                                                  gains,
                                                  logs,
                                                  409,
                                                  983,
                                                  819,
                                                  0,
                                                  6};
enum { SAMPLES = 240, FRAMES = 5 };

NANO_ALIGNED static uint8_t bytes[512];
static nano_arena arena;
static nano_micro_frontend ears;

/* All frames of the sound, fed `chunk` samples at a time, are the recorded ones. */
static int hears(size_t chunk) {
    int16_t samples[SAMPLES];
    uint16_t frame[6];
    int frames = 0;
    for (int32_t i = 0; i < SAMPLES; i++)
        samples[i] = (int16_t)(chirp(i) * (1 + i / 60));
    for (size_t at = 0; at < SAMPLES;) {
        int ready;
        const size_t n = SAMPLES - at < chunk ? SAMPLES - at : chunk;
        at += nano_micro_frontend_feed(&ears, samples + at, n, frame, &ready);
        for (int c = 0; ready && c < 6; c++)
            if (frames >= FRAMES || frame[c] != features[6 * frames + c])
                return 0;
        frames += ready;
    }
    return frames == FRAMES;
}

static void test_recorded_features(void) {
    nano_arena_init(&arena, bytes, sizeof bytes);
    CHECK_EQUAL(NANO_OK, nano_micro_frontend_init(&ears, &params, &arena));
    CHECK(hears(SAMPLES));
    for (size_t chunk = 1; chunk < 60; chunk++) {
        nano_micro_frontend_reset(&ears);
        CHECK(hears(chunk));
    }
}

static void test_memory_is_refused_and_given_back(void) {
    nano_arena_init(&arena, bytes, sizeof bytes);
    CHECK_EQUAL(NANO_OK, nano_micro_frontend_init(&ears, &params, &arena));
    const size_t need = arena.high;
    CHECK(need <= 2 * 56 + 2 * 64 + 4 * 6 + 16);
    for (size_t size = 0; size < need; size++) {
        nano_arena_init(&arena, bytes, size);
        CHECK_EQUAL(NANO_ERR_MEMORY, nano_micro_frontend_init(&ears, &params, &arena));
        CHECK_EQUAL(0, (int32_t)arena.used);
    }
}

static void test_bad_numbers_are_refused(void) {
    nano_micro_frontend_params bad = params;
    nano_arena_init(&arena, bytes, sizeof bytes);
    bad.step = 0;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_micro_frontend_init(&ears, &bad, &arena));
    bad.step = 57;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_micro_frontend_init(&ears, &bad, &arena));
    bad = params;
    bad.window_size = 65;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_micro_frontend_init(&ears, &bad, &arena));
    bad = params;
    bad.channels = 0;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_micro_frontend_init(&ears, &bad, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_micro_frontend_init(NULL, &params, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_micro_frontend_init(&ears, NULL, &arena));
    CHECK_EQUAL(0, (int32_t)arena.used);
}

/* --- A sensor: 2 channels and their vector's length, 8 samples every 5, without their lines -----
 */

static const uint32_t groups[] = {3};
static const int32_t multipliers[] = {1 << 30, 1 << 30};
static const int8_t shifts[] = {-14, -15};
static const nano_sensor_params sensing = {.channels = 2,
                                           .magnitudes = 1,
                                           .groups = groups,
                                           .window_size = 8,
                                           .step = 5,
                                           .multipliers = multipliers,
                                           .shifts = shifts,
                                           .fraction = 2,
                                           .detrend = NANO_DETREND_LINEAR,
                                           .mean = {1 << 30, 6},
                                           .slope = {1636178018, 7}};
static const int16_t straightened[] = {
    24,    525,  505,   -473,  -150, 552,   -582,  -825, 266,  -303,  600,  -409,
    364,   -75,  -1590, 1419,  -750, -1540, 2861,  675,  1309, -3310, 0,    906,
    24,    -525, -1011, 2099,  825,  1337,  -3440, 75,   433,  -589,  -675, -1629,
    2650,  675,  1598,  -1725, -75,  -895,  2290,  -825, 402,  -1309, 525,  -235,
    -1976, 0,    -580,  2671,  -675, 679,   -296,  750,  6,    -2875, 75,   628,
    2936,  -600, -781,  1133,  825,  -35,   -282,  150,  -142, -1309, -525, 226};

static void test_recorded_windows(void) {
    enum { SAMPLES_OF_2 = 21, VALUES = 24 };
    nano_sensor sensor;
    int16_t samples[2 * SAMPLES_OF_2], window_of_3[VALUES];
    for (int32_t i = 0; i < SAMPLES_OF_2; i++) {
        samples[2 * i] = (int16_t)(i * i * 97 % 4001 - 2000);
        samples[2 * i + 1] = (int16_t)(300 * i - i % 3 * 700);
    }
    nano_arena_init(&arena, bytes, sizeof bytes);
    CHECK_EQUAL(NANO_OK, nano_sensor_init(&sensor, &sensing, &arena));
    for (size_t chunk = 1; chunk < 45; chunk++) { /* amid samples, too */
        int windows = 0, ready;
        nano_sensor_reset(&sensor);
        for (size_t at = 0; at < 2 * SAMPLES_OF_2;) {
            const size_t left = 2 * SAMPLES_OF_2 - at, n = left < chunk ? left : chunk;
            at += nano_sensor_feed(&sensor, samples + at, n, window_of_3, &ready);
            for (int i = 0; ready && i < VALUES; i++)
                CHECK_EQUAL(straightened[windows * VALUES + i], window_of_3[i]);
            windows += ready;
        }
        CHECK_EQUAL(3, windows);
    }
    const size_t need = arena.high;
    for (size_t size = 0; size < need; size++) {
        nano_arena_init(&arena, bytes, size);
        CHECK_EQUAL(NANO_ERR_MEMORY, nano_sensor_init(&sensor, &sensing, &arena));
        CHECK_EQUAL(0, (int32_t)arena.used);
    }
    nano_sensor_params bad = sensing;
    bad.step = 9;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sensor_init(&sensor, &bad, &arena));
    bad = sensing;
    bad.fft.size = 4; /* less than the window */
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sensor_init(&sensor, &bad, &arena));
    bad.fft.size = 8; /* and no bands */
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sensor_init(&sensor, &bad, &arena));
    bad = sensing;
    bad.step = 0;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sensor_init(&sensor, &bad, &arena));
    bad = sensing;
    bad.window_size = 1025;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sensor_init(&sensor, &bad, &arena));
    bad = sensing;
    bad.channels = 0;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sensor_init(&sensor, &bad, &arena));
    bad.channels = 33;
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sensor_init(&sensor, &bad, &arena));
    bad = sensing;
    bad.magnitudes = 0;
    bad.magnitudes_only = 1; /* nothing is kept */
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sensor_init(&sensor, &bad, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sensor_init(NULL, &sensing, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sensor_init(&sensor, NULL, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_sensor_init(&sensor, &sensing, NULL));
}

/* Of x = r^2 + d: r for d <= r, r + 1 above; of a number below 2^32 at most 0xFFFF. */
static void test_roots_are_rounded(void) {
    uint32_t random = 1;
    for (int i = 0; i < 20000; i++) {
        random = random * 1664525u + 1013904223u;
        const uint32_t r = random >> (2 + random % 30u);
        const uint64_t square = (uint64_t)r * r;
        const uint32_t up = square + r + 1 < (1ull << 32) && r == 0xFFFFu ? r : r + 1;
        CHECK(nano_root(square) == r);
        CHECK(nano_root(square + r) == r);
        CHECK(nano_root(square + r + 1) == up);
        CHECK(r == 0 || nano_root(square - 1) == (r == 1 ? 0u : r));
    }
    CHECK(nano_root(UINT32_MAX) == 0xFFFFu && nano_root(1ull << 32) == 0x10000u);
}

/* What a mel front end takes is the arrays that mel.h names, and no byte more. */
static void test_a_mel_front_ends_room(void) {
    static uint64_t room[12];
    static const nano_mel_params of_8 = {
        .fft = {.size = 8}, .window_size = 6, .step = 4, .bands = 3};
    const size_t need = 4u * (8 + 2) + 2u * (6 + 1) + 2u * 3;
    nano_mel mel;
    for (size_t size = 0; size <= need; size++) {
        nano_arena_init(&arena, room, size);
        CHECK_EQUAL(size < need ? NANO_ERR_MEMORY : NANO_OK, nano_mel_init(&mel, &of_8, &arena));
        CHECK_EQUAL(size < need ? 0 : (int32_t)need, (int32_t)arena.used);
    }
    nano_arena_init(&arena, room, sizeof room);
    for (int spoiled = 0; spoiled < 4; spoiled++) {
        nano_mel_params bad = of_8;
        bad.step = (uint16_t)(spoiled == 0 ? 0 : spoiled == 1 ? 7 : 4);
        bad.window_size = (uint16_t)(spoiled == 2 ? 9 : 6);
        bad.bands = (uint16_t)(spoiled == 3 ? 0 : 3);
        CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_mel_init(&mel, &bad, &arena));
    }
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_mel_init(NULL, &of_8, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_mel_init(&mel, NULL, &arena));
    CHECK_EQUAL(NANO_ERR_ARGUMENT, nano_mel_init(&mel, &of_8, NULL));
    CHECK_EQUAL(0, (int32_t)arena.used);
}

int main(void) {
    check_begin();
    RUN(test_roots_are_rounded);
    RUN(test_recorded_transforms);
    RUN(test_every_place_comes_once);
    RUN(test_recorded_features);
    RUN(test_recorded_windows);
    RUN(test_memory_is_refused_and_given_back);
    RUN(test_bad_numbers_are_refused);
    RUN(test_a_mel_front_ends_room);
    return check_end();
}
