/* A table of names: each different text gets the next number, from 0 on. The table owns copies of
 * the texts. A copy stays at its address until the table is freed or truncated below it. One
 * thread. */
#ifndef TT_NAMES_H
#define TT_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#define TT_NO_NAME UINT32_MAX /* not a number of any table */

struct tt_names;

struct tt_names *tt_names_new(void);
void tt_names_free(struct tt_names *names);

/* The text's number; a new text gets one and is copied. */
uint32_t tt_names_add(struct tt_names *names, const char *text);
/* The text's number, or TT_NO_NAME when the table lacks it. */
uint32_t tt_names_find(const struct tt_names *names, const char *text);
/* The text of a number that was given. The table's. */
const char *tt_names_text(const struct tt_names *names, uint32_t number);
uint32_t tt_names_count(const struct tt_names *names);
/* Forgets the numbers from `count` on and frees their texts: the next new text gets `count`. */
void tt_names_truncate(struct tt_names *names, uint32_t count);

#endif
