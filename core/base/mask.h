/* The masker: replaces every secret in a stream of bytes by "***".
 *
 * All secrets are looked for at once (Aho and Corasick, "Efficient string matching", CACM 18,
 * 1975), in time linear in the input, and across the boundaries of chunks: bytes that may begin a
 * secret are held back until the next bytes decide. Occurrences that overlap or touch become one
 * "***".
 *
 * One thread. */
#ifndef TT_MASK_H
#define TT_MASK_H

#include "core/base/buf.h"

#include <stdbool.h>
#include <stddef.h>

struct tt_masker;

struct tt_masker *tt_masker_new(void);
void tt_masker_free(struct tt_masker *masker);
/* From now on this text is a secret (copied). So is its form inside a JSON string and, when it has
 * several lines, each line of four bytes or more. An empty text is ignored. */
void tt_masker_add(struct tt_masker *masker, const char *secret, size_t length);
/* True while there is no secret. */
bool tt_masker_empty(const struct tt_masker *masker);

/* How far one stream has been masked. All zero: its beginning. tt_mask_end frees what is held. */
struct tt_mask {
    struct tt_buf held; /* bytes that may yet be part of a secret */
    size_t node;        /* of the masker: the longest end of the stream that begins a secret */
    size_t *runs;       /* masked ranges [from, to) of held, as pairs, in order */
    size_t run_count, run_room;
    bool masking; /* the last byte passed on was masked */
};

/* Takes the stream's next bytes and appends to `out` what can be part of no secret any more. */
void tt_mask_feed(const struct tt_masker *masker, struct tt_mask *mask, const char *bytes,
                  size_t length, struct tt_buf *out);
/* The stream ended: appends what was held back, and makes `mask` all zero. */
void tt_mask_end(struct tt_mask *mask, struct tt_buf *out);
/* Appends a whole text, masked. */
void tt_mask_text(const struct tt_masker *masker, const char *bytes, size_t length,
                  struct tt_buf *out);

#endif
