/* What the parts of the artifact store share; for core/store*.c and core/store/artifacts.c only. */
#ifndef TT_STORE_PARTS_H
#define TT_STORE_PARTS_H

#include "core/base/digest.h"
#include "core/store/store.h"

struct tt_store {
    char *dir;
};

/* Patterns of artifacts: each stands for what it matches and for all that is below that. */
struct tt_wanted {
    size_t count;
    char **patterns;      /* two for each: as it was given, and everything below it */
    bool *hits;           /* one a pattern: something matched */
    struct tt_glob *glob; /* of all of them */
};
void tt_wanted_init(struct tt_wanted *wanted, const char *const *patterns, size_t count);
int tt_wanted_compile(struct tt_wanted *wanted, struct tt_error **err); /* `invalid` */
/* Whether the file at path is wanted; remembers by which patterns. */
bool tt_wanted_match(struct tt_wanted *wanted, const char *path);
/* `artifact` for the first pattern that never matched. */
int tt_wanted_check(const struct tt_wanted *wanted, const char *where, struct tt_error **err);
void tt_wanted_clear(struct tt_wanted *wanted);

/* Opens a new object to pump content into: tt_file_of. `what` is for messages. */
struct tt_op *tt_store_create(struct tt_store *store, struct tt_scope *scope, const char *what);
/* Commits it under the digest of its content. */
struct tt_op *tt_store_keep(struct tt_store *store, struct tt_scope *scope, struct tt_file *file,
                            const char *sha256);
/* Stores a short text (copied): tt_digest_of. */
struct tt_op *tt_store_put(struct tt_store *store, struct tt_scope *scope, const char *text,
                           const char *what);
/* Opens an object: tt_file_of. Kind `artifact` when it is missing. */
struct tt_op *tt_store_get(struct tt_store *store, struct tt_scope *scope,
                           const struct tt_artifact *artifact);

#endif
