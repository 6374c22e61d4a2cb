#include "error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* TVM's generated code calls this before it returns nonzero. */
void TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts, int32_t n_parts);

const char *const hwa_error_memory = "MemoryError";

static char text[512];
static atomic_int state; /* EMPTY -> WRITING -> READY */
static atomic_bool is_memory;
enum { EMPTY, WRITING, READY };

static size_t append(size_t at, const char *part)
{
    while (part != NULL && *part != '\0' && at + 1 < sizeof text) {
        text[at++] = *part++;
    }
    return at;
}

void TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts, int32_t n_parts)
{
    int expected = EMPTY;
    if (!atomic_compare_exchange_strong(&state, &expected, WRITING)) {
        return;
    }
    size_t at = append(append(0, kind), ": ");
    for (int32_t i = 0; i < n_parts; i++) {
        at = append(at, parts[i]);
    }
    text[at] = '\0';
    atomic_store(&is_memory, kind == hwa_error_memory);
    atomic_store(&state, READY);
}

void hwa_error_set(const char *kind, const char *message)
{
    TVMFFIErrorSetRaisedFromCStrParts(kind, &message, 1);
}

void hwa_error_clear(void)
{
    atomic_store(&is_memory, false);
    atomic_store(&state, EMPTY);
}

const char *hwa_error_text(void)
{
    return atomic_load(&state) == READY ? text : "";
}

bool hwa_error_is_memory(void)
{
    return atomic_load(&state) == READY && atomic_load(&is_memory);
}
