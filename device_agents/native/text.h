/* One JSON line, built in memory and written whole. */
#ifndef HWA_TEXT_H
#define HWA_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *data;
    size_t size, capacity;
    bool failed; /* memory ran out: the text is incomplete and hwa_text_write refuses it */
} hwa_text;

void hwa_text_free(hwa_text *text);
void hwa_text_append(hwa_text *text, const char *bytes, size_t size);

/* Punctuation as given; commas between members and items are put in by the functions below. */
void hwa_text_raw(hwa_text *text, const char *literal);
/* `"name":` of the next member; NULL: the next item of an array. */
void hwa_text_key(hwa_text *text, const char *name);
/* A JSON string, null for NULL. Bytes that are not UTF-8 become U+FFFD. */
void hwa_text_string(hwa_text *text, const char *name, const char *value);
void hwa_text_int(hwa_text *text, const char *name, int64_t value);
/* value / 10^decimals with so many decimals, at most 8: exact, and the same in every libc. */
void hwa_text_fixed(hwa_text *text, const char *name, int64_t value, int decimals);
void hwa_text_bool(hwa_text *text, const char *name, bool value);
void hwa_text_null(hwa_text *text, const char *name);
/* The number, or null when it is negative (unknown). */
void hwa_text_known(hwa_text *text, const char *name, int64_t value);

/* Adds the end of line and writes all of it, then empties the text. False when memory had run out (nothing is written)
 * or the other side is gone. */
bool hwa_text_write(hwa_text *text, int fd);
bool hwa_write_all(int fd, const void *data, size_t size);

/* {"type":"error","reason":...} */
bool hwa_write_error(int fd, const char *reason);

#endif
