/* Blocks of four outputs of two pixels: a step is 14 instructions for 128 products.
 *
 * The eight sums are assembly: they take all even registers there are, lr among them. A block's two
 * vectors of results share one from where they are halves on. */
#include "tile_mve.h"

#if NANO_MVE && !NANO_MVE_NATIVE

static void tile(const nano_tile_mve_job *j, int relu) {
    const int8_t *w = j->weights;
    int8_t *out = j->out;
    for (const int32_t *scales = j->scales; scales != j->scales_end; scales += 8, out += 4) {
        nano_words sums[2] = {nano_fill4(0), nano_fill4(0)};
        for (uint32_t i = 0; i < 64 * (1 + j->more); i++, w++) {
            for (uint32_t k = 0; k < 2; k++)
                sums[k].lane[i / 16 % 4] += *w * j->windows[k][i / 64 * 16 + i % 16];
        }
        nano_store4(out, nano_requantize_mve(sums[0], scales, j->zero_point, relu));
        nano_store4(out + j->apart, nano_requantize_mve(sums[1], scales, j->zero_point, relu));
    }
}

void nano_tile_mve(const nano_tile_mve_job *job) {
    tile(job, 0);
}

void nano_tile_relu_mve(const nano_tile_mve_job *job) {
    tile(job, 1);
}

#elif NANO_MVE

/* r3 r5 windows, r11 weights, r7 steps left; sums of the first pixel r0 r2 r4 r6, of the second one
 * r8 r10 r12 lr; `mac` sets the sums or adds to them. */
#define STEP(mac)                                                                                  \
    "vldrb.u8 q0, [r3], #16\n"                                                                     \
    "vldrb.u8 q2, [r11], #16\n" mac " r0, q0, q2\n"                                                \
    "vldrb.u8 q1, [r5], #16\n" mac " r8, q1, q2\n"                                                 \
    "vldrb.u8 q3, [r11], #16\n" mac " r2, q0, q3\n" mac " r10, q1, q3\n"                           \
    "vldrb.u8 q2, [r11], #16\n" mac " r4, q0, q2\n" mac " r12, q1, q2\n"                           \
    "vldrb.u8 q3, [r11], #16\n" mac " r6, q0, q3\n" mac " lr, q1, q3\n"
#define SET STEP("vmladav.s8")
#define ADD STEP("vmladava.s8")
/* Where negative sums matter: less 1 in these lanes. */
#define SIGN                                                                                       \
    "vshr.s32 q1, q2, #31\n"                                                                       \
    "vadd.i32 q2, q2, q1\n"                                                                        \
    "vshr.s32 q1, q3, #31\n"                                                                       \
    "vadd.i32 q3, q3, q1\n"

/* r9 scales, r1 out, q4 zero point. The frame: two windows, rounds, entry, apart, end of scales.
 * The loop runs over four steps; its first round enters behind those that it has too many. */
#define TILE(sign)                                                                                 \
    __asm__("push {r4-r11, lr}\n"                                                                  \
            "vpush {d8-d9}\n"                                                                      \
            "sub sp, #24\n"                                                                        \
            "ldmia r0!, {r3, r5, r7}\n"                                                            \
            "ldmia r0, {r1, r2, r4, r6, r9, r11}\n"                                                \
            "rsb r8, r7, #0\n"                                                                     \
            "and r8, #3\n"                                                                         \
            "mov r10, #56\n"                                                                       \
            "adr r12, 2f\n"                                                                        \
            "mla r8, r8, r10, r12\n"                                                               \
            "adr r12, 3f\n"                                                                        \
            "cmp r7, #0\n"                                                                         \
            "it eq\n"                                                                              \
            "moveq r8, r12\n"                                                                      \
            "add r8, #1\n" /* a Thumb address */                                                   \
            "add r7, #3\n"                                                                         \
            "lsr r7, r7, #2\n"                                                                     \
            "stmia sp, {r3, r5, r7, r8}\n"                                                         \
            "strd r2, r4, [sp, #16]\n"                                                             \
            "vdup.16 q4, r6\n"                                                                     \
            "1: ldmia sp, {r3, r5, r7}\n" SET "ldr pc, [sp, #12]\n"                                \
            ".p2align 2\n"                                                                         \
            "2: .rept 4\n" ADD ".endr\n"                                                           \
            "subs r7, #1\n"                                                                        \
            "bne 2b\n"                                                                             \
            "3: vmov q2[2], q2[0], r0, r4\n"                                                       \
            "vmov q2[3], q2[1], r2, r6\n"                                                          \
            "vmov q3[2], q3[0], r8, r12\n"                                                         \
            "vmov q3[3], q3[1], r10, lr\n"                                                         \
            "vldrw.u32 q0, [r9], #16\n"                                                            \
            "vshr.s32 q1, q0, #8\n"                                                                \
            "vadd.i32 q2, q2, q1\n"                                                                \
            "vadd.i32 q3, q3, q1\n"                                                                \
            "vldrw.u32 q1, [r9], #16\n"                                                            \
            "vqrdmulh.s32 q2, q2, q1\n"                                                            \
            "vqrdmulh.s32 q3, q3, q1\n" sign "vrshl.s32 q2, q2, q0\n"                              \
            "vrshl.s32 q3, q3, q0\n"                                                               \
            "vqmovnb.s32 q2, q2\n"                                                                 \
            "vqmovnt.s32 q2, q3\n"                                                                 \
            "ldrd r2, r4, [sp, #16]\n"                                                             \
            "vqadd.s16 q2, q2, q4\n"                                                               \
            "vqmovnb.s16 q2, q2\n"                                                                 \
            "add r2, r1\n"                                                                         \
            "vstrb.32 q2, [r1], #4\n"                                                              \
            "vshr.u32 q2, q2, #16\n"                                                               \
            "vstrb.32 q2, [r2]\n"                                                                  \
            "cmp r9, r4\n"                                                                         \
            "bne.w 1b\n"                                                                           \
            "add sp, #24\n"                                                                        \
            "vpop {d8-d9}\n"                                                                       \
            "pop {r4-r11, pc}\n")

__attribute__((naked)) void nano_tile_mve(const nano_tile_mve_job *job __attribute__((unused))) {
    TILE(SIGN);
}

__attribute__((naked)) void nano_tile_relu_mve(const nano_tile_mve_job *job
                                               __attribute__((unused))) {
    TILE("");
}

#endif
