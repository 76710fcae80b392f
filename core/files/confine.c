#include "core/files/confine.h"

#include "core/base/alloc.h"
#include "core/base/names.h"

#include <stdlib.h>
#include <string.h>

enum { max_links = 40 };

struct tt_confine {
    struct tt_env *env;
    char *root;
    struct tt_names *trusted; /* real directories below root */
};

struct tt_confine *tt_confine_new(struct tt_env *env, const char *root)
{
    struct tt_confine *confine = tt_zalloc(sizeof *confine);
    confine->env = env;
    tt_env_retain(env);
    confine->root = tt_strdup(root ? root : "");
    confine->trusted = tt_names_new();
    return confine;
}

void tt_confine_free(struct tt_confine *confine)
{
    if (!confine)
        return;
    tt_names_free(confine->trusted);
    free(confine->root);
    tt_env_release(confine->env);
    free(confine);
}

/* --- what is known to be a directory --- */

void tt_confine_trust(struct tt_confine *confine, const char *dir)
{
    char *part = tt_strdup(dir);
    for (size_t length = 1; *dir && dir[length - 1]; length++) {
        if (dir[length] && dir[length] != '/')
            continue;
        part[length] = 0;
        tt_names_add(confine->trusted, part);
        part[length] = dir[length];
    }
    free(part);
}

bool tt_confine_known(const struct tt_confine *confine, const char *dir)
{
    return !*dir || tt_names_find(confine->trusted, dir) != TT_NO_NAME;
}

/* --- following a path --- */

struct check_op {
    struct tt_op op;
    struct tt_scope *steps;
    struct tt_confine *confine;
    char *path; /* as asked for */
    char *real; /* the part that was followed: real directories below root; "" is root */
    char *rest; /* still to be followed */
    char *at;   /* the path being looked at */
    unsigned links;
    bool missing; /* what follows does not exist either */
};

static void check_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_scope_cancel(((struct check_op *)(void *)op)->steps, why);
}

static void check_free(struct tt_op *op)
{
    struct check_op *check = (struct check_op *)(void *)op;
    tt_scope_release(check->steps);
    free(check->path);
    free(check->real);
    free(check->rest);
    free(check->at);
    free(check);
}

static void replace(char **text, char *with)
{
    free(*text);
    *text = with;
}

static void escapes(struct check_op *check, const char *how)
{
    const char *root = check->confine->root;
    tt_op_finish(&check->op, tt_error_new(TT_INVALID, "%s %s, out of %s", check->path, how,
                                          *root ? root : "the task's directory"));
}

static void go_on(struct check_op *check);

/* A symlink at check->at: its target takes its place, seen from the directory that it is in. */
static void follow(struct check_op *check, const char *target)
{
    const char *root = check->confine->root;
    size_t length = strlen(root);
    while (length > 1 && root[length - 1] == '/')
        length--;
    if (++check->links > max_links) {
        tt_op_finish(&check->op, tt_error_new(TT_INVALID, "%s: too many symlinks", check->path));
        return;
    }
    if (*target == '/') {
        bool inside = *root == '/' && strncmp(target, root, length) == 0 &&
                      (!target[length] || target[length] == '/');
        if (!inside) {
            char *how = tt_format("leads through a symlink to %s", target);
            escapes(check, how);
            free(how);
            return;
        }
        target += length;
        replace(&check->real, tt_strdup(""));
    }
    replace(&check->rest, tt_format("%s/%s", target, check->rest));
    go_on(check);
}

static void on_stat(struct tt_op *step, void *arg)
{
    struct check_op *check = arg;
    const struct tt_stat *stat = tt_stat_of(step);
    struct tt_error *err = step->error;
    step->error = NULL;
    if (err) {
        tt_op_finish(&check->op, err);
    } else if (stat && stat->type == TT_FILE_SYMLINK) {
        follow(check, stat->target);
    } else {
        if (stat && stat->type == TT_FILE_DIRECTORY)
            tt_confine_trust(check->confine, check->at);
        check->missing = !stat;
        replace(&check->real, tt_strdup(check->at));
        go_on(check);
    }
    tt_op_release(step);
}

static void go_up(struct check_op *check)
{
    char *slash = strrchr(check->real, '/');
    check->missing = false;
    if (*check->real)
        *(slash ? slash : check->real) = 0;
    else
        escapes(check, "leads upwards");
}

/* Takes the next component of rest. True when it has to be looked at: it is then in `at`. */
static bool advance(struct check_op *check)
{
    char *name = check->rest + strspn(check->rest, "/");
    size_t length = strcspn(name, "/");
    bool look = false;
    char *component = tt_strndup(name, length);
    replace(&check->rest, tt_strdup(name + length));
    if (strcmp(component, "..") == 0) {
        go_up(check);
    } else if (*component && strcmp(component, ".") != 0) {
        replace(&check->at, tt_path_join(check->real, component));
        look = !check->missing && !tt_confine_known(check->confine, check->at);
        if (!look)
            replace(&check->real, tt_strdup(check->at));
    }
    free(component);
    return look;
}

static void go_on(struct check_op *check)
{
    struct tt_confine *confine = check->confine;
    while (*check->rest && !tt_op_finished(&check->op)) {
        if (!advance(check))
            continue;
        char *path = tt_path_join(confine->root, check->at);
        tt_op_await(confine->env->class_->files->stat(confine->env, check->steps, path, false),
                    on_stat, check);
        free(path);
        return;
    }
    if (!tt_op_finished(&check->op))
        tt_op_finish(&check->op, NULL);
}

struct tt_op *tt_confine_check(struct tt_confine *confine, struct tt_scope *scope, const char *path)
{
    static const struct tt_op_class class_ = {"checking a path", check_cancel, check_free};
    struct check_op *check = tt_zalloc(sizeof *check);
    check->confine = confine;
    check->path = tt_strdup(path);
    check->real = tt_strdup("");
    check->rest = tt_strdup(path);
    check->steps = tt_scope_new(tt_scope_loop(scope), scope);
    tt_op_init(&check->op, &class_, scope);
    if (!tt_op_finished(&check->op))
        go_on(check);
    return &check->op;
}

bool tt_path_is_plain(const char *path)
{
    for (const char *at = path;; at++) {
        size_t length = strcspn(at, "/");
        if (length == 0 || (length == 1 && at[0] == '.') ||
            (length == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        at += length;
        if (!*at)
            return true;
    }
}
