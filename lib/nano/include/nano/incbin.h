/* nano/incbin.h - parts of a binary file as constant arrays, which no compiler reads number by
 * number.
 *
 * For the weights of a model that was exported with `--weights bin`. The assembler looks for the
 * file in the folders of the include path (-I). */
#ifndef NANO_INCBIN_H
#define NANO_INCBIN_H

/* 1: the compiler's assembler has .incbin, and NANO_INCBIN() is there. 0: generated sources take
 * #embed (C23; gcc 15, clang 19). Define it as 0 for gcc's -flto, which assembles behind the linker
 * and then knows no include path. */
#ifndef NANO_HAS_INCBIN
#if defined(__GNUC__) && !defined(__wasm__)
#define NANO_HAS_INCBIN 1
#else
#define NANO_HAS_INCBIN 0
#endif
#endif

/* Numbers lie in the file as in the memory of a little-endian machine. */
#if defined(__BYTE_ORDER__) && defined(__ORDER_BIG_ENDIAN__)
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "a file of weights is little-endian: export again with --weights c"
#endif
#endif

#if NANO_HAS_INCBIN

#define NANO_INCBIN_TEXT(x) #x
#define NANO_INCBIN_TEXT_OF(x) NANO_INCBIN_TEXT(x)
#define NANO_INCBIN_SYMBOL(symbol) NANO_INCBIN_TEXT_OF(__USER_LABEL_PREFIX__) #symbol

/* A section of an array's own, so that the linker can drop it; and what debuggers know of it. */
#if defined(__APPLE__)
#define NANO_INCBIN_SECTION(symbol) ".section __TEXT,__const\n"
#define NANO_INCBIN_KIND(symbol, size) ".text\n"
#elif defined(_WIN32)
#define NANO_INCBIN_SECTION(symbol) ".section .rdata,\"dr\"\n"
#define NANO_INCBIN_KIND(symbol, size) ".text\n"
#else
#define NANO_INCBIN_SECTION(symbol) ".pushsection .rodata." #symbol ",\"a\"\n"
#define NANO_INCBIN_KIND(symbol, size)                                                             \
    ".type " NANO_INCBIN_SYMBOL(symbol) ", %object\n"                                              \
                                        ".size " NANO_INCBIN_SYMBOL(symbol) ", " #size "\n"        \
                                                                            ".popsection\n"
#endif

/* Defines the array `symbol`, aligned to `align` bytes: `size` bytes of `file`, a string, from byte
 * `offset` on. The three numbers are decimal constants. A file without those bytes is an error: of
 * .incbin, or as one of .org, which goes back to where they ended and cannot. */
#define NANO_INCBIN(symbol, align, file, offset, size)                                             \
    __asm__(NANO_INCBIN_SECTION(symbol) ".globl " NANO_INCBIN_SYMBOL(                              \
        symbol) "\n"                                                                               \
                ".balign " #align "\n" NANO_INCBIN_SYMBOL(                                         \
                    symbol) ":\n"                                                                  \
                            ".incbin \"" file "\", " #offset ", " #size "\n"                       \
                            "1:\n"                                                                 \
                            ".org " NANO_INCBIN_SYMBOL(symbol) " + " #size "\n"                    \
                                                               ".org 1b\n" NANO_INCBIN_KIND(       \
                                                                   symbol, size))

#endif

#endif
