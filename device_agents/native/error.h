/* The reason why a kernel failed, kept from TVMFFIErrorSetRaisedFromCStrParts until it is reported. No libc. */
#ifndef HWA_ERROR_H
#define HWA_ERROR_H

#include <stdbool.h>

/* Any thread may call this; the first error since hwa_error_clear is kept, later ones are dropped. */
void hwa_error_set(const char *kind, const char *message);
void hwa_error_clear(void);

/* "KIND: MESSAGE" of the kept error, or "" when there is none. Valid until the next clear. */
const char *hwa_error_text(void);

/* Whether the kept error is a failed allocation. */
bool hwa_error_is_memory(void);

extern const char *const hwa_error_memory; /* the kind to set for a failed allocation */

#endif
