#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_CAPACITY = 4096 };

void hwa_text_free(hwa_text *text)
{
    free(text->data);
    *text = (hwa_text){0};
}

void hwa_text_append(hwa_text *text, const char *bytes, size_t size)
{
    if (size > SIZE_MAX / 2 - text->size) {
        text->failed = true;
    }
    size_t capacity = text->capacity > 0 ? text->capacity : FIRST_CAPACITY;
    while (!text->failed && capacity < text->size + size) {
        capacity *= 2;
    }
    if (!text->failed && capacity > text->capacity) {
        char *grown = realloc(text->data, capacity);
        if (grown == NULL) {
            text->failed = true;
        } else {
            text->data = grown;
            text->capacity = capacity;
        }
    }
    if (!text->failed && size > 0) {
        memcpy(text->data + text->size, bytes, size);
        text->size += size;
    }
}

void hwa_text_raw(hwa_text *text, const char *literal)
{
    hwa_text_append(text, literal, strlen(literal));
}

/* What the first byte of a UTF-8 sequence says of its length; 0: it starts none. */
static size_t utf8_claim(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Bytes of the well-formed UTF-8 sequence that starts here; 0 when there is none. */
static size_t utf8_length(const unsigned char *s)
{
    const size_t length = utf8_claim(s[0]);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    const bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    const bool excluded = (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf4 && s[1] >= 0x90);
    return overlong || excluded ? 0 : length;
}

static void quoted(hwa_text *text, const char *value)
{
    hwa_text_raw(text, "\"");
    const unsigned char *s = (const unsigned char *)value;
    while (*s != '\0') {
        const size_t length = utf8_length(s);
        if (*s == '"' || *s == '\\') {
            const char escaped[2] = {'\\', (char)*s};
            hwa_text_append(text, escaped, sizeof escaped);
        } else if (*s < 0x20) {
            char escaped[8];
            snprintf(escaped, sizeof escaped, "\\u%04x", *s);
            hwa_text_raw(text, escaped);
        } else if (length == 0) {
            hwa_text_raw(text, "\\ufffd");
        } else {
            hwa_text_append(text, (const char *)s, length);
        }
        s += length > 0 ? length : 1;
    }
    hwa_text_raw(text, "\"");
}

void hwa_text_key(hwa_text *text, const char *name)
{
    const char last = text->size > 0 ? text->data[text->size - 1] : '{';
    if (last != '{' && last != '[') {
        hwa_text_raw(text, ",");
    }
    if (name != NULL) {
        quoted(text, name);
        hwa_text_raw(text, ":");
    }
}

void hwa_text_null(hwa_text *text, const char *name)
{
    hwa_text_key(text, name);
    hwa_text_raw(text, "null");
}

void hwa_text_string(hwa_text *text, const char *name, const char *value)
{
    if (value == NULL) {
        hwa_text_null(text, name);
        return;
    }
    hwa_text_key(text, name);
    quoted(text, value);
}

void hwa_text_fixed(hwa_text *text, const char *name, int64_t value, int decimals)
{
    char digits[32];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    for (int written = 0; written <= decimals || rest > 0; written++) { /* at least one digit before the point */
        if (written > 0 && written == decimals) {
            digits[--at] = '.';
        }
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    }
    if (value < 0) {
        digits[--at] = '-';
    }
    hwa_text_key(text, name);
    hwa_text_append(text, digits + at, sizeof digits - at);
}

void hwa_text_int(hwa_text *text, const char *name, int64_t value)
{
    hwa_text_fixed(text, name, value, 0);
}

void hwa_text_bool(hwa_text *text, const char *name, bool value)
{
    hwa_text_key(text, name);
    hwa_text_raw(text, value ? "true" : "false");
}

void hwa_text_known(hwa_text *text, const char *name, int64_t value)
{
    if (value < 0) {
        hwa_text_null(text, name);
    } else {
        hwa_text_int(text, name, value);
    }
}

bool hwa_write_all(int fd, const void *data, size_t size)
{
    const char *rest = data;
    while (size > 0) {
        const ssize_t written = write(fd, rest, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        rest += written;
        size -= (size_t)written;
    }
    return true;
}

bool hwa_text_write(hwa_text *text, int fd)
{
    hwa_text_raw(text, "\n");
    const bool ok = !text->failed && hwa_write_all(fd, text->data, text->size);
    text->size = 0;
    return ok;
}

bool hwa_write_error(int fd, const char *reason)
{
    hwa_text line = {0};
    hwa_text_raw(&line, "{");
    hwa_text_string(&line, "type", "error");
    hwa_text_string(&line, "reason", reason);
    hwa_text_raw(&line, "}");
    const bool ok = hwa_text_write(&line, fd);
    hwa_text_free(&line);
    return ok;
}
