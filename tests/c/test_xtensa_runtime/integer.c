/* What is under test. */
#include "../../../firmware/boards/xtensa/integer.c"
