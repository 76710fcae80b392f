/* The masker: replaces every secret in a stream of bytes by "***".
 *
 * All secrets are looked for at once (Aho and Corasick, "Efficient string matching", CACM 18,
 * 1975), in time linear in the input, and across the boundaries of chunks: bytes that may be the
 * beginning of a secret are held back until it is known. Occurrences that overlap are masked
 * together.
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
/* From now on this text is a secret. So are its lines of four bytes or more when it has several,
 * and the form that it takes inside a JSON string. An empty one is none. */
void tt_masker_add(struct tt_masker *masker, const char *secret, size_t length);
bool tt_masker_empty(const struct tt_masker *masker);

/* Where a stream stands. All zero is its beginning; tt_mask_end frees what it holds. */
struct tt_mask {
    struct tt_buf held; /* bytes whose fate is open */
    size_t node;        /* the longest end of the stream that begins a secret */
    size_t *runs;       /* masked ranges [from, to) of held, as pairs, in order */
    size_t run_count, run_room;
    bool masking; /* the last byte passed on was masked */
};

/* Takes a chunk and adds to `out` what is certain. */
void tt_mask_feed(const struct tt_masker *masker, struct tt_mask *mask, const char *bytes,
                  size_t length, struct tt_buf *out);
/* The stream ended: adds what was held back. */
void tt_mask_end(struct tt_mask *mask, struct tt_buf *out);
/* A whole text at once. */
void tt_mask_text(const struct tt_masker *masker, const char *bytes, size_t length,
                  struct tt_buf *out);

#endif
