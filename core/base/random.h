/* Random numbers that a seed decides: splitmix64. All the state of a generator is one word, which
 * is also its seed; the same seed gives the same numbers everywhere. The loop has one that
 * everything of its thread draws from, a run has its own, so that its journal can be replayed.
 *
 * Not for what an attacker must not guess: nonces, salts and keys come from the system. */
#ifndef TT_RANDOM_H
#define TT_RANDOM_H

#include <stdint.h>

struct tt_random {
    uint64_t state;
};
uint64_t tt_random_next(struct tt_random *random);
double tt_random_unit(struct tt_random *random); /* 0 <= x < 1 */

#endif
