/* Environments from their text: "local:", "ssh://deploy@web-1", "docker://name" … Each kind of
 * environment has a scheme, the word before "://". The program gives each loop its table of schemes
 * once, at the start (executors/schemes.h). A journal names an environment by its text, from which
 * a later process makes the environment again. Loop thread. */
#ifndef TT_REGISTRY_H
#define TT_REGISTRY_H

#include "core/env/exec.h"

struct tt_env_scheme {
    const char *name; /* "docker" */
    /* Makes an environment from its text, with or without "docker://" in front; connects nothing.
     * Kind `invalid` for a text that makes no sense. *env: the caller's reference. */
    int (*from_text)(struct tt_env **env, struct tt_loop *loop, const char *text,
                     struct tt_error **err);
};

/* `schemes` ends with NULL and outlives the loop. */
void tt_env_schemes_use(struct tt_loop *loop, const struct tt_env_scheme *const *schemes);

/* The scheme that a text names by what stands before "://". "local:" names local; a text without a
 * scheme names ssh. NULL, and kind `invalid`, for a scheme that the loop does not know. */
const struct tt_env_scheme *tt_env_scheme_of(struct tt_loop *loop, const char *text,
                                             struct tt_error **err);
/* The scheme of that name; NULL: the loop does not know it. */
const struct tt_env_scheme *tt_env_scheme_named(struct tt_loop *loop, const char *name);

/* The environment of a text, made by its scheme; errors are the scheme's. *env: the caller's. */
int tt_env_from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                     struct tt_error **err);
/* This machine: the environment of "local:". */
int tt_env_here(struct tt_env **env, struct tt_loop *loop, struct tt_error **err);

/* For executors: the text after "SCHEME://", or all of a text that does not begin so. Borrowed. */
const char *tt_env_after_scheme(const char *text, const char *scheme);

#endif
