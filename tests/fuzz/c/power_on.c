/* power_on.c - the app's and the fake board's memory, which the build has put into sections of its
 * own, kept and put back. */
#include "fuzz.h"

extern uint8_t __start_app_data[], __stop_app_data[], __start_app_bss[], __stop_app_bss[];

/* Byte by byte, past the sanitizer: between the variables lie its red zones. */
__attribute__((no_sanitize("address"), no_builtin)) static void
copy(uint8_t *to, const uint8_t *from, size_t size) {
    for (size_t i = 0; i < size; i++)
        to[i] = from[i];
}

void fuzz_power_on(void) {
    static uint8_t *kept;
    const size_t data = (size_t)(__stop_app_data - __start_app_data);
    const size_t bss = (size_t)(__stop_app_bss - __start_app_bss);
    if (kept == NULL) {
        kept = (uint8_t *)malloc(data + bss);
        FUZZ_CHECK(kept != NULL);
        copy(kept, __start_app_data, data);
        copy(kept + data, __start_app_bss, bss);
    }
    copy(__start_app_data, kept, data);
    copy(__start_app_bss, kept + data, bss);
}
