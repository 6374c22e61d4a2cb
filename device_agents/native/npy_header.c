/* The header is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }. */
#include "npy_header.h"

#include "hwa.h"

#include <string.h>

typedef struct {
    uint8_t code, bits;
    const char *descr;
} type_name;

static const type_name types[] = {
    {HWA_FLOAT, 32, "<f4"}, {HWA_FLOAT, 64, "<f8"}, {HWA_FLOAT, 16, "<f2"}, {HWA_INT, 64, "<i8"}, {HWA_INT, 32, "<i4"},
    {HWA_INT, 16, "<i2"},   {HWA_INT, 8, "|i1"},    {HWA_UINT, 8, "|u1"},   {HWA_BOOL, 8, "|b1"},
};

const char *hwa_npy_descr(uint8_t code, uint8_t bits)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].code == code && types[i].bits == bits) {
            return types[i].descr;
        }
    }
    return NULL;
}

typedef struct {
    const char *at, *end;
} cursor;

static void skip_spaces(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')) {
        c->at++;
    }
}

/* Takes the literal, after white space. */
static bool take(cursor *c, const char *literal)
{
    const size_t length = strlen(literal);
    skip_spaces(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, literal, length) != 0) {
        return false;
    }
    c->at += length;
    return true;
}

/* A quoted string without escapes, at most size-1 bytes. */
static bool take_string(cursor *c, char *out, size_t size)
{
    skip_spaces(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) {
        return false;
    }
    const char quote = *c->at++;
    size_t n = 0;
    while (c->at < c->end && *c->at != quote) {
        if (*c->at == '\\' || *c->at == '\0' || n + 1 == size) {
            return false;
        }
        out[n++] = *c->at++;
    }
    out[n] = '\0';
    return take(c, quote == '"' ? "\"" : "'");
}

static bool take_int(cursor *c, int64_t *out)
{
    skip_spaces(c);
    const char *start = c->at;
    int64_t value = 0;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, (int64_t)(*c->at - '0'), &value)) {
            return false;
        }
        c->at++;
    }
    *out = value;
    return c->at > start;
}

static bool take_shape(cursor *c, hwa_npy_header *out)
{
    out->ndim = 0;
    if (!take(c, "(")) {
        return false;
    }
    while (!take(c, ")")) {
        if (out->ndim == HWA_NPY_MAX_DIMS || !take_int(c, &out->shape[out->ndim])) {
            return false;
        }
        out->ndim++;
        if (!take(c, ",")) {
            return out->ndim > 1 && take(c, ")"); /* (3) is a number, not a tuple */
        }
    }
    return true;
}

static bool take_bool(cursor *c, bool *out)
{
    *out = take(c, "True");
    return *out || take(c, "False");
}

static bool take_value(cursor *c, const char *key, unsigned *seen, hwa_npy_header *out)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(key, keys[i]) == 0 && (*seen & 1u << i) == 0) {
            *seen |= 1u << i;
            return i == 0   ? take_string(c, out->descr, sizeof out->descr)
                   : i == 1 ? take_bool(c, &out->fortran_order)
                            : take_shape(c, out);
        }
    }
    return false;
}

bool hwa_npy_parse(const char *text, size_t size, hwa_npy_header *out)
{
    cursor c = {text, text + size};
    unsigned seen = 0;
    if (!take(&c, "{")) {
        return false;
    }
    while (!take(&c, "}")) {
        char key[16];
        if (!take_string(&c, key, sizeof key) || !take(&c, ":") || !take_value(&c, key, &seen, out)) {
            return false;
        }
        if (!take(&c, ",")) {
            if (!take(&c, "}")) {
                return false;
            }
            break;
        }
    }
    skip_spaces(&c);
    return seen == 7 && c.at == c.end;
}
