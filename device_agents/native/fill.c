#include "fill.h"

#include "hwa.h"

#include <string.h>

hwa_random hwa_random_seed(uint64_t seed)
{
    /* One step of splitmix64: close seeds start far apart, and the state is not 0. */
    uint64_t z = seed + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (hwa_random){z != 0 ? z : 1};
}

uint64_t hwa_random_next(hwa_random *random)
{
    uint64_t x = random->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    random->state = x;
    return x * 0x2545f4914f6cdd1du;
}

uint64_t hwa_random_below(hwa_random *random, uint64_t limit)
{
    return limit > 0 ? (hwa_random_next(random) >> 11) % limit : 0; /* the bias is below 2^-40 for any shape */
}

/* sign * [0.5, 1) as the bits of an IEEE-like float: a random sign and fraction under the exponent of 0.5. */
static uint64_t float_bits(uint64_t random, int bits, int fraction_bits)
{
    const uint64_t fraction = random & ((1ull << fraction_bits) - 1);
    const uint64_t exponent = (1ull << (bits - fraction_bits - 2)) - 2;
    return (random >> 63) << (bits - 1) | exponent << fraction_bits | fraction;
}

static uint64_t value_bits(hwa_random *random, uint8_t code, uint8_t bits)
{
    const uint64_t next = hwa_random_next(random);
    switch (code) {
    case HWA_FLOAT:
        return float_bits(next, bits, bits == 16 ? 10 : bits == 32 ? 23 : 52);
    case HWA_BFLOAT:
        return float_bits(next, bits, 7);
    case HWA_BOOL:
        return next >> 63;
    case HWA_UINT:
        return (next >> 40) % 256;
    default:
        return (uint64_t)((int64_t)((next >> 40) % 255) - 127); /* -127..127: symmetric, and fits int8 */
    }
}

static void store(unsigned char *at, uint64_t value, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) { /* little endian, as every target here is */
        at[i] = (unsigned char)(value >> (8 * i));
    }
}

static uint64_t element_bytes(uint8_t bits)
{
    return bits >= 64 ? 8 : bits >= 32 ? 4 : bits >= 16 ? 2 : 1;
}

void hwa_fill_values(hwa_random *random, uint8_t code, uint8_t bits, void *data, uint64_t bytes)
{
    const uint64_t size = element_bytes(bits);
    for (uint64_t at = 0; at + size <= bytes; at += size) {
        store((unsigned char *)data + at, value_bits(random, code, bits), size);
    }
}

void hwa_fill_indices(hwa_random *random, uint8_t bits, int64_t limit, void *data, uint64_t bytes)
{
    const uint64_t size = element_bytes(bits);
    for (uint64_t at = 0; at + size <= bytes; at += size) {
        store((unsigned char *)data + at, hwa_random_below(random, limit > 0 ? (uint64_t)limit : 0), size);
    }
}

void hwa_fill_rising(uint8_t bits, int64_t limit, void *data, uint64_t bytes)
{
    const uint64_t size = element_bytes(bits), count = bytes / size, most = limit > 0 ? (uint64_t)limit : 0;
    for (uint64_t i = 0; i < count; i++) {
        /* Parts are multiplied, so that nothing overflows. */
        const uint64_t value = count > 1 ? most / (count - 1) * i + most % (count - 1) * i / (count - 1) : 0;
        store((unsigned char *)data + i * size, value, size);
    }
}
