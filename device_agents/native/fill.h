/* Random contents of tensors. */
#ifndef HWA_FILL_H
#define HWA_FILL_H

#include <stdint.h>

/* xorshift64*; seed it with hwa_random_seed. */
typedef struct {
    uint64_t state;
} hwa_random;

hwa_random hwa_random_seed(uint64_t seed);
uint64_t hwa_random_next(hwa_random *random);
/* Uniform in [0, limit). */
uint64_t hwa_random_below(hwa_random *random, uint64_t limit);

/* Floats in [-1, 1) and never 0 or subnormal, which some machines compute at another speed; integers around 0 that any
 * kernel can take; truth values. `bytes` beyond whole elements stay untouched. */
void hwa_fill_values(hwa_random *random, uint8_t code, uint8_t bits, void *data, uint64_t bytes);

/* Integers from 0 to limit, each as much above the one before as rounding down leaves. */
void hwa_fill_rising(uint8_t bits, int64_t limit, void *data, uint64_t bytes);

/* Integers in [0, limit). */
void hwa_fill_indices(hwa_random *random, uint8_t bits, int64_t limit, void *data, uint64_t bytes);

#endif
