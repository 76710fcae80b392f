#include "executors/docker/image.h"

#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/env/registry.h"
#include "core/env/start.h"
#include "core/files/files.h"
#include "executors/docker/events.h"
#include "executors/docker/exec.h"
#include "executors/docker/files.h"
#include "executors/docker/internal.h"
#include "executors/docker/once.h"
#include "executors/docker/pull.h"
#include "executors/http/stream.h"
#include "executors/remote/image_name.h"
#include "executors/remote/shell_agent.h"

#include <stdlib.h>
#include <string.h>

struct waiter;
struct bringing;

struct image_env {
    struct tx_docker_env base; /* its container: the id, while it runs */
    char *image, *name, *platform;
    json_t *config;
    enum tx_pull pull;
    bool keep;
    struct tx_stream *stdin_held;
    struct bringing *bringing;
    struct waiter *waiters;
};

struct waiter {
    struct tt_op op;
    struct tt_env *env; /* held */
    struct waiter *next;
};

static struct image_env *of(const struct tt_env *env)
{
    return (struct image_env *)(void *)env;
}

/* --- starting it --- */

struct bringing {
    struct tt_op op;
    struct tt_chain chain;
    struct image_env *image; /* held by env */
    struct tt_scope *scope;
    char *id; /* of what was created */
    struct tt_error *failure;
    bool pulled, commanded;
};

static struct bringing *bringing_of(struct tt_op *op)
{
    return (struct bringing *)(void *)op;
}

static void create(struct tt_op *op, struct tt_op *before);

static void bringing_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&bringing_of(op)->chain, why);
}

static void bringing_free(struct tt_op *op)
{
    struct bringing *bringing = bringing_of(op);
    tt_env_release(&bringing->image->base.env);
    tt_scope_release(bringing->scope);
    tt_error_free(bringing->failure);
    free(bringing->id);
    free(bringing);
}

static struct tx_http *http_of(const struct image_env *image)
{
    return tx_docker_http(image->base.docker);
}

static struct tt_op *remove_container(struct image_env *image, struct tt_scope *scope,
                                      const char *id)
{
    char *path = tt_format("/containers/%s?force=1&v=1", id);
    struct tx_api_options options = {.raw = true};
    struct tt_op *op = tx_api_call(http_of(image), scope, "DELETE", path, NULL, &options);
    free(path);
    return op;
}

static void on_given_up(struct tt_op *op, struct tt_op *removed)
{
    struct tt_error *why = bringing_of(op)->failure;
    (void)removed; /* what is left of it, a sweep finds */
    bringing_of(op)->failure = NULL;
    tt_op_finish(op, why);
}

/* Finishes once what was made is gone again. */
static void give_up(struct bringing *bringing, struct tt_error *err)
{
    tt_fail(&err, err->kind, "%s", bringing->image->base.env.text);
    tx_stream_free(bringing->image->stdin_held);
    bringing->image->stdin_held = NULL;
    if (!bringing->id) {
        tt_op_finish(&bringing->op, err);
        return;
    }
    bringing->failure = err;
    tt_then(&bringing->chain, &bringing->op,
            remove_container(bringing->image, bringing->scope, bringing->id), on_given_up);
}

static void on_started(struct tt_op *op, struct tt_op *started)
{
    struct bringing *bringing = bringing_of(op);
    struct tt_error *err = tt_error_copy(started->error);
    if (!err) {
        free(bringing->image->base.container);
        bringing->image->base.container = bringing->id;
        bringing->id = NULL;
        tt_op_finish(op, NULL);
        return;
    }
    struct tt_error *kind = tx_docker_launch_error(err->message, strlen(err->message));
    if (err->kind == TT_IO || err->kind == TT_INVALID || err->kind == TT_NOT_FOUND)
        err->kind = kind->kind;
    tt_error_free(kind);
    give_up(bringing, err);
}

static void start_container(struct bringing *bringing)
{
    char *path = tt_format("/containers/%s/start", bringing->id);
    tt_then(&bringing->chain, &bringing->op,
            tx_api_call(http_of(bringing->image), bringing->scope, "POST", path, NULL, NULL),
            on_started);
    free(path);
}

static void on_attached(struct tt_op *op, struct tt_op *attached)
{
    struct bringing *bringing = bringing_of(op);
    if (attached->error) {
        give_up(bringing, tt_error_copy(attached->error));
        return;
    }
    struct tx_stream *stream = tx_stream_of(attached);
    const struct tt_buf *body = tx_stream_body(stream);
    int status = tx_stream_status(stream);
    struct tt_error *err = tx_api_refusal(status == 101 ? 200 : status, body->data, body->length);
    bringing->image->stdin_held = stream;
    if (err)
        give_up(bringing, err);
    else
        start_container(bringing);
}

static void on_created(struct tt_op *op, struct tt_op *created)
{
    struct bringing *bringing = bringing_of(op);
    struct image_env *image = bringing->image;
    struct tt_error *err = tt_error_copy(created->error);
    int status = tx_api_status(created);
    if (status == 404 && !bringing->pulled && image->pull == TX_PULL_MISSING) {
        bringing->pulled = true;
        tt_error_free(err);
        tt_then(&bringing->chain, op,
                tx_docker_pull(image->base.docker, bringing->scope, image->image, image->platform,
                               NULL, NULL),
                create);
        return;
    }
    if (err && !bringing->commanded && strstr(err->message, "o command specified")) {
        bringing->commanded = true;
        tt_error_free(err);
        json_object_set_new(image->config, "Cmd", json_pack("[s]", "/bin/sh"));
        create(op, NULL);
        return;
    }
    if (err) {
        if (status == 409)
            err->kind = TT_INVALID;
        give_up(bringing, err);
        return;
    }
    bringing->id = tt_strdup(tx_json_text(tx_api_json(created), "Id"));
    if (image->keep) {
        start_container(bringing);
        return;
    }
    /* the main process's stdin ends with us */
    static const char *const headers[] = {"Connection: Upgrade", "Upgrade: tcp", NULL};
    char *path = tt_format("/containers/%s/attach?stream=1&stdin=1", bringing->id);
    struct tx_http_request request = {
        .method = "POST", .path = path, .headers = headers, .body = "", .length = 0};
    tt_then(&bringing->chain, op, tx_stream_open(http_of(image), bringing->scope, &request),
            on_attached);
    free(path);
}

static void create(struct tt_op *op, struct tt_op *before)
{
    struct bringing *bringing = bringing_of(op);
    struct image_env *image = bringing->image;
    if (before && before->error) {
        give_up(bringing, tt_error_copy(before->error));
        return;
    }
    struct tt_buf path = {0};
    tt_buf_text(&path, "/containers/create");
    if (image->name)
        tt_buf_format(&path, "?name=%s", image->name);
    if (image->platform) {
        tt_buf_text(&path, image->name ? "&platform=" : "?platform=");
        tx_url_escape(&path, image->platform);
    }
    tt_then(&bringing->chain, op,
            tx_api_call(http_of(image), bringing->scope, "POST", path.data,
                        json_incref(image->config), NULL),
            on_created);
    tt_buf_free(&path);
}

static void on_swept(struct tt_op *op, struct tt_op *swept)
{
    struct bringing *bringing = bringing_of(op);
    struct image_env *image = bringing->image;
    if (swept->error && swept->error->kind == TT_CONNECT)
        give_up(bringing, tt_error_copy(swept->error));
    else if (image->pull == TX_PULL_ALWAYS)
        tt_then(&bringing->chain, op,
                tx_docker_pull(image->base.docker, bringing->scope, image->image, image->platform,
                               NULL, NULL),
                create);
    else
        create(op, NULL);
}

static void on_brought(struct tt_op *op, void *arg)
{
    struct image_env *image = arg;
    image->bringing = NULL;
    for (struct waiter *waiter; (waiter = image->waiters);) {
        image->waiters = waiter->next;
        tt_op_finish(&waiter->op, tt_error_copy(op->error));
    }
    tt_op_release(op);
}

static void bring(struct image_env *image, struct tt_loop *loop)
{
    static const struct tt_op_class class_ = {"start a container", bringing_cancel, bringing_free};
    struct bringing *bringing = tt_zalloc(sizeof *bringing);
    bringing->image = image;
    tt_env_retain(&image->base.env);
    bringing->scope = tt_scope_new(loop, NULL);
    tt_op_init(&bringing->op, &class_, bringing->scope);
    image->bringing = bringing;
    tt_op_await(&bringing->op, on_brought, image);
    tt_then(&bringing->chain, &bringing->op, tx_docker_sweep(image->base.docker, bringing->scope),
            on_swept);
}

static void waiter_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct waiter *waiter = (struct waiter *)(void *)op;
    struct waiter **at = &of(waiter->env)->waiters;
    while (*at && *at != waiter)
        at = &(*at)->next;
    if (*at)
        *at = waiter->next;
    tt_op_finish(op, tt_error_copy(why));
}

static void waiter_free(struct tt_op *op)
{
    tt_env_release(((struct waiter *)(void *)op)->env);
    free(op);
}

struct tt_op *tx_docker_image_ready(struct tt_env *env, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"start a container", waiter_cancel, waiter_free};
    struct image_env *image = of(env);
    struct waiter *waiter = tt_zalloc(sizeof *waiter);
    waiter->env = env;
    tt_env_retain(env);
    tt_op_init(&waiter->op, &class_, scope);
    if (tt_op_finished(&waiter->op))
        return &waiter->op;
    if (image->base.container && !image->bringing) {
        tt_op_finish(&waiter->op, NULL);
        return &waiter->op;
    }
    waiter->next = image->waiters;
    image->waiters = waiter;
    if (!image->bringing)
        bring(image, tt_scope_loop(scope));
    return &waiter->op;
}

/* --- commands --- */

static struct tt_op *start_ready(struct tt_env *env, struct tt_op *ready, struct tt_scope *scope,
                                 const struct tt_command *command)
{
    struct tx_docker_env *docker = tx_docker_env_of(env);
    struct tx_docker_place place = {docker->docker, docker->container, &docker->no_shell};
    (void)ready;
    return place.container
               ? tx_docker_exec(env, scope, &place, command)
               : tt_op_finished_new(scope, tt_error_new(TT_CONNECT, "%s was closed", env->text));
}

static struct tt_op *start(struct tt_env *env, struct tt_scope *scope,
                           const struct tt_command *command)
{
    static const struct tt_start_steps steps = {tx_docker_image_ready, start_ready};
    return tt_start_prepared(env, scope, command, &steps);
}

/* --- its end --- */

struct closing {
    struct tt_op op;
    struct tt_chain chain;
    struct tt_env *env; /* held */
};

static void closing_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&((struct closing *)(void *)op)->chain, why);
}

static void closing_free(struct tt_op *op)
{
    tt_env_release(((struct closing *)(void *)op)->env);
    free(op);
}

static void on_removed(struct tt_op *op, struct tt_op *removed)
{
    tx_docker_events_rest(of(((struct closing *)(void *)op)->env)->base.docker);
    bool gone = removed->error &&
                (tx_api_status(removed) == 404 || tx_api_status(removed) == 409); /* or going */
    tt_op_finish(op, gone ? NULL : tt_error_copy(removed->error));
}

static void close_now(struct closing *closing)
{
    struct image_env *image = of(closing->env);
    tx_stream_free(image->stdin_held);
    image->stdin_held = NULL;
    tx_docker_events_rest(image->base.docker);
    if (!image->base.container || image->keep) {
        tt_op_finish(&closing->op, NULL);
        return;
    }
    char *id = image->base.container;
    image->base.container = NULL;
    tt_then(&closing->chain, &closing->op, remove_container(image, closing->op.scope, id),
            on_removed);
    free(id);
}

static void on_settled(struct tt_op *op, struct tt_op *ready)
{
    (void)ready; /* it runs now, or never did */
    close_now((struct closing *)(void *)op);
}

static struct tt_op *close_env(struct tt_env *env, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"remove a container", closing_cancel, closing_free};
    struct closing *closing = tt_zalloc(sizeof *closing);
    closing->env = env;
    tt_env_retain(env);
    tx_agent_end(tt_scope_loop(scope), env);
    tt_op_init(&closing->op, &class_, scope);
    if (tt_op_finished(&closing->op))
        return &closing->op;
    if (of(env)->bringing)
        tt_then(&closing->chain, &closing->op, tx_docker_image_ready(env, scope), on_settled);
    else
        close_now(closing);
    return &closing->op;
}

static void image_env_free(struct tt_env *env)
{
    struct image_env *image = of(env);
    tx_stream_free(image->stdin_held);
    json_decref(image->config);
    free(image->image);
    free(image->name);
    free(image->platform);
    free(image->base.container);
    tx_docker_release(image->base.docker);
    free(image);
}

const struct tt_env_class tx_docker_image_class = {
    .kind = "docker-image",
    .parts = tx_docker_env_parts,
    .start = start,
    .attach = tt_env_no_attach,
    .files = &tx_docker_files,
    .resolve = tt_env_resolve_self,
    .close = close_env,
    .free = image_env_free,
};

static void forget_numbers(void *slot)
{
    json_decref(*(json_t **)slot);
}

/* Two environments of one image are two containers, and share nothing: the identity counts them, in
 * the order in which they are made, which is the same in every process that runs the same script. A
 * container with a name of its own is known by that. */
static char *identity_of(struct tt_loop *loop, const struct tx_docker *docker,
                         const struct tx_docker_image_options *o)
{
    static const struct tt_slot slot = {sizeof(json_t *), forget_numbers};
    json_t **numbers = tt_loop_slot(loop, &slot);
    char *identity = tt_format("docker-image:%s:%s:%s", tx_docker_identity(docker), o->image,
                               o->name ? o->name : "");
    if (o->name)
        return identity;
    if (!*numbers)
        *numbers = json_object();
    json_int_t number = json_integer_value(json_object_get(*numbers, identity)) + 1;
    json_object_set_new(*numbers, identity, json_integer(number));
    char *numbered = tt_format("%s#%lld", identity, (long long)number);
    free(identity);
    return numbered;
}

int tx_docker_image_env_new(struct tt_env **out, struct tt_loop *loop,
                            const struct tx_docker_image_options *o, struct tt_error **err)
{
    struct tx_docker *docker = NULL;
    int rc = tx_check_image_name(o->image, err);
    if (rc == 0 && o->name)
        rc = tx_check_container_name(o->name, err);
    json_t *config = rc == 0 ? tx_docker_image_config(o, err) : NULL;
    if (!config)
        return rc < 0 ? rc : -TT_INVALID;
    rc = tx_docker_open(&docker, loop, &o->where, err);
    if (rc < 0) {
        json_decref(config);
        return rc;
    }
    struct image_env *image = tt_zalloc(sizeof *image);
    image->base.docker = docker;
    image->config = config;
    image->image = tt_strdup(o->image);
    image->name = o->name ? tt_strdup(o->name) : NULL;
    image->platform = o->platform ? tt_strdup(o->platform) : NULL;
    image->pull = o->pull;
    image->keep = o->keep;
    image->base.ready = tx_docker_image_ready;
    char *text = tt_format("docker-image://%s", o->image);
    char *identity = identity_of(loop, docker, o);
    tt_env_init(&image->base.env, &tx_docker_image_class, text, identity);
    free(text);
    free(identity);
    *out = &image->base.env;
    return 0;
}

int tx_docker_image_from_text(struct tt_env **env, struct tt_loop *loop, const char *text,
                              struct tt_error **err)
{
    struct tx_docker_image_options options = {.image = tt_env_after_scheme(text, "docker-image")};
    return tx_docker_image_env_new(env, loop, &options, err);
}
