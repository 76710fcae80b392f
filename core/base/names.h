/* Names and their numbers: each different text gets the next number from 0 on. Owns its copies of
 * the texts, which stay where they are until freed or taken back. */
#ifndef TT_NAMES_H
#define TT_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#define TT_NO_NAME UINT32_MAX

struct tt_names;

struct tt_names *tt_names_new(void);
void tt_names_free(struct tt_names *names);

/* The text's number, given now if it is new. */
uint32_t tt_names_add(struct tt_names *names, const char *text);
/* The text's number, or TT_NO_NAME. */
uint32_t tt_names_find(const struct tt_names *names, const char *text);
const char *tt_names_text(const struct tt_names *names, uint32_t number);
uint32_t tt_names_count(const struct tt_names *names);
/* Takes back the numbers from `count` on, as if they had never been given. */
void tt_names_truncate(struct tt_names *names, uint32_t count);

#endif
