/* nano/status.h - what a call answers. */
#ifndef NANO_STATUS_H
#define NANO_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/* Errors are negative and never renumbered; a call that returns one has changed nothing, unless its
 * comment says what. */
typedef enum {
    NANO_MORE = 1,           /* nano_step(): ops remain */
    NANO_OK = 0,             /* done */
    NANO_ERR_ARGUMENT = -1,  /* a pointer is NULL or a number is out of its range */
    NANO_ERR_MEMORY = -2,    /* the arena has not enough room left */
    NANO_ERR_ALIGNMENT = -3, /* the buffer is not aligned to NANO_ALIGN */
    NANO_ERR_ABI = -4,       /* made for another NANO_ABI; of a head: for another model */
    NANO_ERR_SHAPE = -5,     /* a layer does not fit the one before it, or is too large */
    NANO_ERR_STATE = -6,     /* calls in the wrong order */
    NANO_ERR_RANGE = -7, /* a scale, multiplier or shift that the integer kernels cannot express */
    NANO_ERR_CHECKSUM = -8 /* saved bytes are damaged */
} nano_status;

/* A short English phrase for `status`; a constant string, never NULL. */
const char *nano_status_text(nano_status status);

#ifdef __cplusplus
}
#endif
#endif
