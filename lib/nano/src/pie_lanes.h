/* pie_lanes.h - sixteen sums at once, one a channel, with the ESP32-S3's PIE, and the same in C
 * (internal). Never run on silicon yet; pie.h says what the unit is and who saves its registers.
 *
 * QACC has sixteen sums of 20 bits, which ee.vmulas.s8.qacc adds sixteen products to. They begin as
 * the biases. Scaling is pie.h's, exactly, in another order, from three words of a channel:
 *     lane[0] = M                                the multiplier, Q31
 *     lane[1] = 2^10 * (1 + (2 * zero_point + 1) * 2^e)
 *     lane[2] = 2^(21 - e)
 *     T = floor(4096 * acc * M / 2^32)
 *     q = floor((T - 2^11 * (T < 0) + lane[1]) * lane[2] / 2^32)
 * T has ten bits that pie.h's t has not; floors nest, so they change nothing. Where zero_point is
 * -128 all that is negative gives the least output, so the term with T < 0 is left out. */
#ifndef NANO_PIE_LANES_H
#define NANO_PIE_LANES_H

#include "pie.h"

#define NANO_PIE_LANES 16
#define NANO_PIE_BIAS 48 /* bytes before a block's weights */
#define NANO_PIE_ROOM 64 /* of `sums` */

/* A line of pixels, sixteen channels of each:
 *     out[p][c] = clamp(q(bias[c] + sum_y,x rows[y][p * pixel + x * tap + c] * w[y][x][c]))
 * The order of the fields is what the instructions read. All addresses but those of `lanes` are
 * aligned to 16 bytes, steps are multiples of 16. */
typedef struct {
    const int8_t *const *rows; /* [kernel_h] */
    const int8_t *w;           /* 4: int8 [kernel_h][kernel_w][16]; 16 bytes more are read */
    const int8_t *bias;        /* 8: QACC: sums 0..7 [20 bits], 4 bytes of them behind 12 others */
    const int32_t *lanes;      /* 12: [16][3] */
    uint32_t kernel_h;         /* 16; at least 1, as all counts */
    uint32_t kernel_w;         /* 20 */
    uint32_t tap, pixel;       /* 24, 28: bytes from tap to tap, from pixel to pixel */
    uint32_t pixels;           /* 32 */
    int8_t *out;               /* 36 */
    uint32_t out_step;         /* 40: bytes from pixel to pixel, less 16 */
    int8_t *sums;              /* 44: [NANO_PIE_ROOM] */
    const int8_t *limits;      /* 48: the least output sixteen times, the largest one */
    uint32_t second;           /* 52: 0: what becomes of the last eight sums is no one's */
    int32_t relu;              /* 1: zero_point is -128 */
} nano_pie_lanes_job;

#if NANO_PIE_NATIVE

/* clang-format off */
/* ee.vld.128.xp qQ, aS, aD: aS += aD; ee.vst.128.ip qQ, aS, 16 */
#define NANO_Q(q) (((q) & 1) << 15 | ((q) >> 1) << 20)
#define NANO_VLD_XP(q, s, d) NANO_CODE(0x8D2004 | NANO_Q(q) | (s) << 4 | (d) << 8)
#define NANO_VST(q, s) NANO_CODE(0x8A0104 | NANO_Q(q) | (s) << 4)
/* ee.vmax.s8 qA, qX, qY; ee.vmin.s8 */
#define NANO_XY(x, y) ((x) << 8 | ((y) & 3) << 11 | ((y) >> 2) << 14)
#define NANO_VMAX(q, x, y) NANO_CODE(0x8E2044 | NANO_Q(q) | NANO_XY(x, y))
#define NANO_VMIN(q, x, y) NANO_CODE(0x8E2074 | NANO_Q(q) | NANO_XY(x, y))
/* ee.ld.qacc_l.l.128.ip aS, 16; _h.l.128.ip; _l.h.32.ip aS, 4; _h.h.32.ip; and ee.st. */
#define NANO_LD_QACC(s) \
    NANO_CODE(0x000104 | (s) << 4) NANO_CODE(0x060104 | (s) << 4) \
    NANO_CODE(0x160104 | (s) << 4) NANO_CODE(0x1E0104 | (s) << 4)
#define NANO_ST_QACC(s) \
    NANO_CODE(0x0C0104 | (s) << 4) NANO_CODE(0x0D0104 | (s) << 4) \
    NANO_CODE(0x1D0104 | (s) << 4) NANO_CODE(0x120104 | (s) << 4)
/* ee.vmulas.s8.qacc.ld.ip qU, aS, 16, qX, qY */
#define NANO_VMULAS_QACC_LD(u, s, x, y) \
    NANO_CODE4(0xF003010E | ((u) & 1) << 19 | ((u) >> 1) << 24 | (s) << 4 | ((x) & 3) << 14 | \
               ((x) >> 2) | ((y) & 1) << 23 | ((y) >> 1) << 12)
/* clamps aR, aS, 7 */
#define NANO_CLAMPS_7(r, s) NANO_CODE(0x330000 | (r) << 12 | (s) << 8)

/* Output `lane` of the sum in a11's upper 20 bits; a10 is -4096, a14 the lanes, a15 the room. */
#define NANO_PIE_LANE(lane, nudge) \
    "and a11, a11, a10\n\t" \
    "l32i a12, a14, " NANO_TEXT(12 * (lane)) "\n\t" \
    NANO_MULSH(11, 11, 12) \
    "l32i a12, a14, " NANO_TEXT(12 * (lane) + 4) "\n\t" \
    nudge \
    "add.n a11, a11, a12\n\t" \
    "l32i a12, a14, " NANO_TEXT(12 * (lane) + 8) "\n\t" \
    NANO_MULSH(11, 11, 12) \
    NANO_CLAMPS_7(11, 11) \
    "s8i a11, a15, " NANO_TEXT(48 + (lane)) "\n\t"
#define NANO_PIE_LANE_SIGNED \
    "srai a13, a11, 31\n\t" \
    "slli a13, a13, 11\n\t" \
    "add.n a11, a11, a13\n\t"
/* Eight of them, from the words at a15 + `low` and the one at a15 + `high`. */
#define NANO_PIE_EIGHT(first, low, high, nudge) \
    "l32i a8, a15, " NANO_TEXT(low) "\n\t" \
    "slli a11, a8, 12\n\t" \
    NANO_PIE_LANE(first, nudge) \
    "l32i a9, a15, " NANO_TEXT(low + 4) "\n\t" \
    "ssai 8\n\tsrc a11, a9, a8\n\t" \
    NANO_PIE_LANE(first + 1, nudge) \
    "slli a11, a9, 4\n\t" \
    NANO_PIE_LANE(first + 2, nudge) \
    "l32i a8, a15, " NANO_TEXT(low + 8) "\n\t" \
    "ssai 16\n\tsrc a11, a8, a9\n\t" \
    NANO_PIE_LANE(first + 3, nudge) \
    "l32i a9, a15, " NANO_TEXT(low + 12) "\n\t" \
    "ssai 4\n\tsrc a11, a9, a8\n\t" \
    NANO_PIE_LANE(first + 4, nudge) \
    "slli a11, a9, 8\n\t" \
    NANO_PIE_LANE(first + 5, nudge) \
    "l32i a8, a15, " NANO_TEXT(high) "\n\t" \
    "ssai 12\n\tsrc a11, a8, a9\n\t" \
    NANO_PIE_LANE(first + 6, nudge) \
    "mov.n a11, a8\n\t" \
    NANO_PIE_LANE(first + 7, nudge)

/* a2: the job; a3: bytes to the pixel; a4: pixels left; a5: where it goes. */
#define NANO_PIE_LINE(name, nudge) \
    __attribute__((noinline, noclone)) static void name(const nano_pie_lanes_job *job) { \
        register const nano_pie_lanes_job *a2 __asm__("a2") = job; \
        register uint32_t at __asm__("a3") = 0; \
        register uint32_t pixels __asm__("a4") = job->pixels; \
        register int8_t *out __asm__("a5") = job->out; \
        __asm__ volatile( \
            "l32i a11, a2, 48\n\t" \
            NANO_VLD(3, 11) NANO_VLD(4, 11) \
            "\n3:\n\t" \
            "l32i a11, a2, 8\n\t" \
            NANO_LD_QACC(11) \
            "l32i a12, a2, 0\n\t" \
            "l32i a8, a2, 4\n\t" \
            "l32i a13, a2, 16\n\t" \
            "l32i a10, a2, 20\n\t" \
            "l32i a14, a2, 24\n\t" \
            NANO_VLD(0, 8) \
            "\n" \
            "4:\n\t" \
            "l32i a9, a12, 0\n\t" \
            "addi a12, a12, 4\n\t" \
            "add.n a9, a9, a3\n\t" \
            NANO_LOOPNEZ(10) \
            NANO_VLD_XP(1, 9, 14) \
            NANO_VMULAS_QACC_LD(0, 8, 0, 1) \
            "2:\n\t" \
            "addi a13, a13, -1\n\t" \
            "bnez a13, 4b\n\t" \
            "l32i a15, a2, 44\n\t" \
            "l32i a14, a2, 12\n\t" \
            "movi a10, -1\n\t" \
            "slli a10, a10, 12\n\t" \
            NANO_ST_QACC(15) \
            "addi a15, a15, -40\n\t" \
            NANO_PIE_EIGHT(0, 0, 32, nudge) \
            "l32i a12, a2, 52\n\t" \
            "bnez a12, 6f\n\t" \
            "j 7f\n" \
            "6:\n\t" \
            NANO_PIE_EIGHT(8, 16, 36, nudge) \
            "7:\n\t" \
            "addi a15, a15, 48\n\t" \
            NANO_VLD(0, 15) \
            "l32i a12, a2, 40\n\t" \
            "l32i a13, a2, 28\n\t" \
            NANO_VMAX(0, 0, 3) \
            NANO_VMIN(0, 0, 4) \
            NANO_VST(0, 5) \
            "add.n a5, a5, a12\n\t" \
            "add.n a3, a3, a13\n\t" \
            "addi a4, a4, -1\n\t" \
            "beqz a4, 5f\n\t" \
            "j 3b\n" \
            "5:" \
            : "+r"(at), "+r"(pixels), "+r"(out) \
            : "r"(a2) \
            : "a8", "a9", "a10", "a11", "a12", "a13", "a14", "a15", "memory"); \
    }

NANO_PIE_LINE(nano_pie_line_relu, "")
NANO_PIE_LINE(nano_pie_line_signed, NANO_PIE_LANE_SIGNED)
/* clang-format on */

static inline void nano_pie_line(const nano_pie_lanes_job *job) {
    (job->relu ? nano_pie_line_relu : nano_pie_line_signed)(job);
}

#else

/* The high word of a product, rounded down. */
static inline int32_t nano_pie_high(int32_t a, int32_t b) {
    uint32_t high, low; /* b is not negative */
    nano_wide_product((uint32_t)a, (uint32_t)b, &high, &low);
    return (int32_t)(high - (a < 0 ? (uint32_t)b : 0));
}

/* Sum k that QACC begins with. */
static inline int32_t nano_pie_lane_bias(const int8_t *bias, uint32_t k) {
    const uint32_t half = k / 8, bit = k % 8 * 20;
    uint32_t value = 0;
    for (uint32_t i = 0; i < 20; i++) {
        const uint32_t byte = (bit + i) / 8;
        const uint32_t at = byte < 16 ? 16 * half + byte : 32 + 4 * half + byte - 16;
        value |= (uint32_t)((uint8_t)bias[at] >> (bit + i) % 8 & 1) << i;
    }
    return (int32_t)value - (int32_t)(value >> 19 << 20);
}

static inline int8_t nano_pie_lane(const nano_pie_lanes_job *job, uint32_t at, uint32_t k) {
    int32_t sum = nano_pie_lane_bias(job->bias, k);
    const int8_t *w = job->w + k;
    for (uint32_t y = 0; y < job->kernel_h; y++) {
        const int8_t *x = job->rows[y] + at + k;
        for (uint32_t i = 0; i < job->kernel_w; i++, x += job->tap, w += NANO_PIE_LANES)
            sum += *x * *w;
    }
    const int32_t *const lane = job->lanes + 3 * k;
    const int32_t t = nano_pie_high(sum * 4096, lane[0]);
    const int32_t nudge = t < 0 && !job->relu ? 2048 : 0;
    const int32_t q = nano_pie_high(t - nudge + lane[1], lane[2]);
    const int32_t min = job->limits[0], max = job->limits[NANO_PIE_LANES];
    return (int8_t)(q < min ? min : q > max ? max : q);
}

static inline void nano_pie_line(const nano_pie_lanes_job *job) {
    int8_t *out = job->out;
    for (uint32_t p = 0; p < job->pixels; p++, out += job->out_step) {
        for (uint32_t k = 0; k < NANO_PIE_LANES; k++)
            *out++ = nano_pie_lane(job, p * job->pixel, k);
    }
}

#endif

#endif
