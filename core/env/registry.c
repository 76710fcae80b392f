#include "core/env/registry.h"

#include <string.h>

struct known {
    const struct tt_env_scheme *const *schemes; /* NULL: none were given */
};

static struct known *known_to(struct tt_loop *loop)
{
    static const struct tt_slot slot = {.size = sizeof(struct known)};
    return tt_loop_slot(loop, &slot);
}

void tt_env_schemes_use(struct tt_loop *loop, const struct tt_env_scheme *const *schemes)
{
    known_to(loop)->schemes = schemes;
}

static const struct tt_env_scheme *find(struct tt_loop *loop, const char *name, size_t length)
{
    const struct tt_env_scheme *const *scheme = known_to(loop)->schemes;
    for (; scheme && *scheme; scheme++)
        if (strlen((*scheme)->name) == length && strncmp((*scheme)->name, name, length) == 0)
            return *scheme;
    return NULL;
}

const struct tt_env_scheme *tt_env_scheme_named(struct tt_loop *loop, const char *name)
{
    return find(loop, name, strlen(name));
}

const struct tt_env_scheme *tt_env_scheme_of(struct tt_loop *loop, const char *text,
                                             struct tt_error **err)
{
    const char *slashes = strstr(text, "://");
    const struct tt_env_scheme *scheme = NULL;
    if (!*text) {
        tt_fail(err, TT_INVALID, "the text is empty");
        return NULL;
    }
    if (strcmp(text, "local:") == 0)
        scheme = find(loop, "local", 5);
    else
        scheme = slashes ? find(loop, text, (size_t)(slashes - text)) : find(loop, "ssh", 3);
    if (!scheme)
        tt_fail(err, TT_INVALID,
                "'%s' names no environment: write local:, ssh://user@host:port, "
                "docker://container, docker-image://name:tag or k8s://ns/pod/container",
                text);
    return scheme;
}

int tt_env_from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                     struct tt_error **err)
{
    const struct tt_env_scheme *scheme = tt_env_scheme_of(loop, text, err);
    return scheme ? scheme->from_text(env, loop, text, err) : -TT_INVALID;
}

int tt_env_here(struct tt_env **env, struct tt_loop *loop, struct tt_error **err)
{
    return tt_env_from_text(env, loop, "local:", err);
}

const char *tt_env_after_scheme(const char *text, const char *scheme)
{
    size_t length = strlen(scheme);
    bool begins = strncmp(text, scheme, length) == 0 && strncmp(text + length, "://", 3) == 0;
    return begins ? text + length + 3 : text;
}
