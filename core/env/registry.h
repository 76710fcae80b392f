/* Environments from their text: "local:", "ssh://deploy@web-1", "docker://name" … Each kind of
 * environment has a scheme, the word before "://"; a loop is given the table of those that its
 * program knows once, at its start (executors/schemes.h). A journal names an environment by its
 * text, and a later process makes it again here. Loop thread. */
#ifndef TT_REGISTRY_H
#define TT_REGISTRY_H

#include "core/env/exec.h"

struct tt_env_scheme {
    const char *name; /* "docker" */
    /* Makes an environment from its text, with or without "docker://" in front; connects nothing.
     * `invalid` for what cannot be understood. *env is the caller's to release. */
    int (*from_text)(struct tt_env **env, struct tt_loop *loop, const char *text,
                     struct tt_error **err);
};

/* `schemes` ends with NULL and outlives the loop. */
void tt_env_schemes_use(struct tt_loop *loop, const struct tt_env_scheme *const *schemes);

/* The scheme that a text names: what stands before "://"; "local:" is local, and a text without a
 * scheme is an SSH host. NULL and `invalid` for another one. */
const struct tt_env_scheme *tt_env_scheme_of(struct tt_loop *loop, const char *text,
                                             struct tt_error **err);
/* The scheme of that name; NULL: the loop does not know it. */
const struct tt_env_scheme *tt_env_scheme_named(struct tt_loop *loop, const char *name);

int tt_env_from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                     struct tt_error **err);
/* This machine: tt_env_from_text "local:". */
int tt_env_here(struct tt_env **env, struct tt_loop *loop, struct tt_error **err);

/* For executors: what follows "scheme://", or all of a text that does not begin so. */
const char *tt_env_after_scheme(const char *text, const char *scheme);

#endif
