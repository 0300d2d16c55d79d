/* status.c - what the codes mean, in words. */
#include "nano/status.h"

const char *nano_status_text(nano_status status) {
    switch (status) {
    case NANO_MORE:
        return "ops remain to be run";
    case NANO_OK:
        return "ok";
    case NANO_ERR_ARGUMENT:
        return "a pointer is NULL or a number is out of its range";
    case NANO_ERR_MEMORY:
        return "the arena has not enough room left";
    case NANO_ERR_ALIGNMENT:
        return "the buffer is not aligned to NANO_ALIGN";
    case NANO_ERR_ABI:
        return "made for another version of this library, or for another model";
    case NANO_ERR_SHAPE:
        return "a layer does not fit the shape of the one before it";
    case NANO_ERR_STATE:
        return "calls in the wrong order";
    case NANO_ERR_RANGE:
        return "a scale, multiplier or shift that the integer kernels cannot express";
    case NANO_ERR_CHECKSUM:
        return "saved bytes are damaged";
    }
    return "unknown status";
}
