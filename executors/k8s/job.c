#include "executors/k8s/job.h"

#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "executors/k8s/exec_internal.h"
#include "executors/k8s/watch.h"
#include "executors/remote/image_name.h"
#include "executors/remote/no_files.h"
#include "executors/remote/owner.h"
#include "executors/remote/shim_pod.h"

#include <stdlib.h>
#include <string.h>

enum { removal_ms = 10000 };

static const char managed[] = "app.kubernetes.io/managed-by";
static const char owner_key[] = "tutti/owner";

struct removal_waiter;

struct job_env {
    struct tt_env env;
    struct tx_kube *kube;
    char *name_space;
    json_t *template_; /* of the pod: {"metadata", "spec"}; the command is missing */
    size_t alive;      /* jobs that are not deleted yet */
    struct removal_waiter *waiting;
    struct remains *remains; /* of commands whose process is still there */
    bool swept;
};

/* What is left to do when a process goes. */
struct remains {
    struct job_env *env; /* held */
    char *name;          /* of its job; NULL once that is being deleted */
    struct remains *next;
};

struct removal_waiter {
    struct tt_op op;
    struct job_env *env; /* held */
    struct removal_waiter *next;
};

static struct job_env *of(const struct tt_env *env)
{
    return (struct job_env *)(void *)env;
}

static char *jobs_path(const struct job_env *env, const char *name)
{
    return tt_format("/apis/batch/v1/namespaces/%s/jobs%s%s", env->name_space, name ? "/" : "",
                     name ? name : "");
}

/* In the commands and variables of a pod, the cluster replaces $(NAME) and makes one dollar of two.
 */
static char *without_expansion(const char *text)
{
    struct tt_buf out = {0};
    for (; *text; text++)
        tt_buf_add(&out, *text == '$' ? "$$" : text, *text == '$' ? 2 : 1);
    return tt_buf_take(&out);
}

/* --- deleting --- */

struct removal {
    struct job_env *env; /* held */
    struct tt_scope *scope;
};

static void on_removed(struct tt_op *op, void *arg)
{
    struct removal *removal = arg;
    struct job_env *env = removal->env;
    tt_op_release(op);
    tt_scope_release(removal->scope);
    free(removal);
    if (--env->alive == 0) {
        for (struct removal_waiter *waiter; (waiter = env->waiting);) {
            env->waiting = waiter->next;
            tt_op_finish(&waiter->op, NULL);
        }
    }
    tt_env_release(&env->env);
}

static struct tt_op *delete_job(struct job_env *env, struct tt_scope *scope, const char *name)
{
    char *path = jobs_path(env, name);
    json_t *how =
        json_pack("{s:s, s:i}", "propagationPolicy", "Background", "gracePeriodSeconds", 0);
    struct tt_op *op = tx_kube_call(env->kube, scope, "DELETE", path, how, NULL);
    free(path);
    return op;
}

/* In the background; closing the environment waits for it. */
static void remove_job(struct job_env *env, const char *name)
{
    struct tt_loop *loop = tx_kube_loop(env->kube);
    struct removal *removal = tt_zalloc(sizeof *removal);
    removal->env = env;
    tt_env_retain(&env->env);
    removal->scope = tt_scope_shielded(loop, tt_deadline_after(tt_loop_now(loop), removal_ms));
    tt_op_await(delete_job(env, removal->scope, name), on_removed, removal);
}

static void waiter_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct removal_waiter *waiter = (struct removal_waiter *)(void *)op;
    struct removal_waiter **at = &waiter->env->waiting;
    while (*at && *at != waiter)
        at = &(*at)->next;
    if (*at)
        *at = waiter->next;
    tt_op_finish(op, tt_error_copy(why));
}

static void waiter_free(struct tt_op *op)
{
    tt_env_release(&((struct removal_waiter *)(void *)op)->env->env);
    free(op);
}

static struct tt_op *close_env(struct tt_env *env, struct tt_scope *scope)
{
    static const struct tt_op_class class_ = {"delete jobs", waiter_cancel, waiter_free};
    struct removal_waiter *waiter = tt_zalloc(sizeof *waiter);
    waiter->env = of(env);
    tt_env_retain(env);
    tt_op_init(&waiter->op, &class_, scope);
    if (tt_op_finished(&waiter->op))
        return &waiter->op;
    for (struct remains *remains = of(env)->remains; remains; remains = remains->next) {
        if (remains->name)
            remove_job(of(env), remains->name);
        free(remains->name);
        remains->name = NULL;
    }
    if (!of(env)->alive) {
        tt_op_finish(&waiter->op, NULL);
        return &waiter->op;
    }
    waiter->next = of(env)->waiting;
    of(env)->waiting = waiter;
    return &waiter->op;
}

/* --- starting --- */

struct launch {
    struct tt_process_op base;
    struct tt_chain chain;
    struct job_env *env; /* held */
    struct tt_command command;
    char nonce[tx_nonce_size];
    char *name; /* of the job */
    char *pod;
    bool made;
    struct tx_pod_process *process;
};

static struct launch *launch_of(struct tt_op *op)
{
    return (struct launch *)(void *)op;
}

static void bury(void *arg)
{
    struct remains *remains = arg, **at = &remains->env->remains;
    while (*at != remains)
        at = &(*at)->next;
    *at = remains->next;
    if (remains->name)
        remove_job(remains->env, remains->name);
    tt_env_release(&remains->env->env);
    free(remains->name);
    free(remains);
}

static void fail(struct launch *launch, struct tt_error *err)
{
    tt_fail(&err, err->kind, "%s", launch->env->env.text);
    if (launch->made)
        remove_job(launch->env, launch->name);
    launch->made = false;
    tt_op_finish(&launch->base.op, err);
}

static void launch_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct launch *launch = launch_of(op);
    if (launch->chain.waiting) {
        tt_chain_cancel(&launch->chain, why);
        return;
    }
    struct tx_pod_process *process = launch->process;
    launch->process = NULL;
    if (process)
        tx_pod_process_discard(process);
    tt_op_finish(op, tt_error_copy(why));
}

static void launch_free(struct tt_op *op)
{
    struct launch *launch = launch_of(op);
    tt_command_clear(&launch->command);
    free(launch->name);
    free(launch->pod);
    tt_env_release(&launch->env->env);
    tt_process_op_free(op);
}

static void on_launched(void *arg, struct tt_error *err)
{
    struct launch *launch = arg;
    struct tx_pod_process *process = launch->process;
    launch->process = NULL;
    if (err) {
        tx_pod_process_discard(process);
        tt_op_finish(&launch->base.op, err);
    } else {
        launch->base.process = &process->p;
        tt_op_finish(&launch->base.op, NULL);
    }
}

static void on_attached(struct tt_op *op, struct tt_op *opened)
{
    struct launch *launch = launch_of(op);
    struct tt_error *err = tt_error_copy(opened->error);
    struct tx_stream *stream = tx_kube_socket_of(opened);
    bool no_shell = false;
    struct tx_pod pod = {launch->env->kube,     launch->env->name_space,
                         launch->pod,           "main",
                         launch->env->env.text, &no_shell};
    if (!err)
        tx_pod_process_new(&launch->process, &launch->env->env, &pod, stream, &launch->command,
                           launch->nonce, &err);
    if (err) {
        fail(launch, err);
        return;
    }
    struct remains *remains = tt_zalloc(sizeof *remains);
    remains->env = launch->env;
    tt_env_retain(&launch->env->env);
    remains->name = tt_strdup(launch->name);
    remains->next = launch->env->remains;
    launch->env->remains = remains;
    launch->made = false;
    launch->process->freed = bury;
    launch->process->freed_arg = remains;
    launch->process->launched = on_launched;
    launch->process->launched_arg = launch;
    tx_pod_process_go(launch->process);
}

/* Whether the pod's only container runs; an error when it never will. */
static int look(void *arg, const char *type, const json_t *pod, struct tt_error **err)
{
    struct launch *launch = arg;
    if (!pod)
        return 0;
    if (strcmp(type, "DELETED") == 0)
        return tt_fail(err, TT_LOST, "the job's pod was deleted");
    const json_t *status = json_array_get(tx_json_at(pod, "status.containerStatuses"), 0);
    const json_t *waiting = tx_json_at(status, "state.waiting");
    const json_t *ended = tx_json_at(status, "state.terminated");
    const char *reason = tx_json_text(waiting, "reason");
    const char *message = tx_json_text(waiting ? waiting : ended, "message");
    if (tx_json_at(status, "state.running")) {
        launch->pod = tt_strdup(tx_json_text(json_object_get(pod, "metadata"), "name"));
        return 1;
    }
    if (strcmp(reason, "ErrImagePull") == 0 || strcmp(reason, "ImagePullBackOff") == 0 ||
        strcmp(reason, "InvalidImageName") == 0 || strcmp(reason, "ErrImageNeverPull") == 0)
        return tt_fail(err, TT_NOT_FOUND, "the image cannot be had: %s: %s", reason, message);
    if (strcmp(reason, "CreateContainerConfigError") == 0 ||
        strcmp(reason, "CreateContainerError") == 0)
        return tt_fail(err, TT_INVALID, "%s: %s", reason, message);
    if (ended && strstr(message, "no such file or directory"))
        return tt_fail(err, TT_NOT_FOUND, "the image has no /bin/sh, which a job needs");
    if (ended)
        return tt_fail(err, TT_IO, "the job's container ended at once: %s: %s",
                       tx_json_text(ended, "reason"), message);
    if (strcmp(tx_json_text(json_object_get(pod, "status"), "phase"), "Failed") == 0)
        return tt_fail(err, TT_IO, "the job's pod failed: %s",
                       tx_json_text(json_object_get(pod, "status"), "message"));
    return 0;
}

static void on_running(struct tt_op *op, struct tt_op *watched)
{
    struct launch *launch = launch_of(op);
    if (watched->error) {
        fail(launch, tt_error_copy(watched->error));
        return;
    }
    char *path =
        tt_format("/api/v1/namespaces/%s/pods/%s/attach?container=main&stdin=true&"
                  "stdout=true&stderr=%s&tty=%s",
                  launch->env->name_space, launch->pod, launch->command.pty ? "false" : "true",
                  launch->command.pty ? "true" : "false");
    tt_then(&launch->chain, op,
            tx_kube_open_socket(launch->env->kube, op->scope, path, tx_pod_protocols), on_attached);
    free(path);
}

static void on_made(struct tt_op *op, struct tt_op *call)
{
    struct launch *launch = launch_of(op);
    if (call->error) {
        /* whether it was made is not known when the connection broke: delete it in any case */
        if (call->error->kind != TT_LOST && call->error->kind != TT_CANCELLED) {
            launch->made = false;
            launch->env->alive--;
        }
        fail(launch, tt_error_copy(call->error));
        return;
    }
    char *path = tt_format("/api/v1/namespaces/%s/pods?labelSelector=job-name%%3D%s",
                           launch->env->name_space, launch->name);
    tt_then(&launch->chain, op, tx_k8s_watch(launch->env->kube, op->scope, path, look, launch),
            on_running);
    free(path);
}

static json_t *job_of(const struct launch *launch)
{
    const struct job_env *env = launch->env;
    json_t *template_ = json_deep_copy(env->template_);
    json_t *container = json_array_get(tx_json_at(template_, "spec.containers"), 0);
    char *shim = tx_shim_pod_line(launch->nonce, &launch->command, true);
    char *line = without_expansion(shim);
    char *owner = tx_owner_here();
    json_object_set_new(container, "command", json_pack("[s, s, s]", "/bin/sh", "-c", line));
    json_object_set_new(container, "tty", json_boolean(launch->command.pty));
    json_t *job =
        json_pack("{s:s, s:s, s:{s:s, s:{s:s}, s:{s:s}}, s:{s:i, s:i, s:o}}", "apiVersion",
                  "batch/v1", "kind", "Job", "metadata", "name", launch->name, "labels", managed,
                  "tutti", "annotations", owner_key, owner, "spec", "backoffLimit", 0,
                  "ttlSecondsAfterFinished", 300, "template", template_);
    free(line);
    free(shim);
    free(owner);
    return job;
}

static void make_job(struct launch *launch)
{
    char *path = jobs_path(launch->env, NULL);
    launch->made = true;
    launch->env->alive++;
    tt_then(
        &launch->chain, &launch->base.op,
        tx_kube_call(launch->env->kube, launch->base.op.scope, "POST", path, job_of(launch), NULL),
        on_made);
    free(path);
}

/* Jobs of a tutti of this machine that was killed. */
static void on_swept(struct tt_op *op, struct tt_op *call)
{
    struct launch *launch = launch_of(op);
    size_t index;
    const json_t *job;
    if (call->error) {
        fail(launch, tt_error_copy(call->error));
        return;
    }
    launch->env->swept = true;
    json_array_foreach(json_object_get(tx_kube_json(call), "items"), index, job)
    {
        const json_t *metadata = json_object_get(job, "metadata");
        const char *owner = tx_json_text(json_object_get(metadata, "annotations"), owner_key);
        if (!tx_owner_is_dead(owner))
            continue;
        launch->env->alive++;
        remove_job(launch->env, tx_json_text(metadata, "name"));
    }
    make_job(launch);
}

static struct tt_op *start(struct tt_env *env, struct tt_scope *scope,
                           const struct tt_command *command)
{
    static const struct tt_op_class class_ = {"start", launch_cancel, launch_free};
    struct launch *launch = tt_zalloc(sizeof *launch);
    launch->env = of(env);
    tt_env_retain(env);
    tt_command_copy(&launch->command, command);
    tt_op_init(&launch->base.op, &class_, scope);
    if (tt_op_finished(&launch->base.op))
        return &launch->base.op;
    struct tt_error *err = NULL;
    if (command->user)
        err = tt_error_new(TT_UNSUPPORTED, "%s: `user`: give the job's pod a securityContext",
                           env->text);
    if (!err)
        tx_shim_nonce(launch->nonce, &err);
    if (err) {
        tt_op_finish(&launch->base.op, err);
        return &launch->base.op;
    }
    launch->name = tt_format("tutti-%s", launch->nonce);
    if (launch->env->swept) {
        make_job(launch);
        return &launch->base.op;
    }
    char *path = tt_format("/apis/batch/v1/namespaces/%s/jobs?labelSelector=%s%%3Dtutti",
                           launch->env->name_space, managed);
    tt_then(&launch->chain, &launch->base.op,
            tx_kube_call(launch->env->kube, scope, "GET", path, NULL, NULL), on_swept);
    free(path);
    return &launch->base.op;
}

/* --- making the environment --- */

static void job_env_free(struct tt_env *env)
{
    struct job_env *job = of(env);
    tx_kube_release(job->kube);
    json_decref(job->template_);
    free(job->name_space);
    free(job);
}

static const struct tt_env_class class_ = {
    .kind = "k8s-job",
    .parts = tt_env_no_parts,
    .start = start,
    .attach = tt_env_no_attach,
    .files = &tx_no_files,
    .resolve = tt_env_resolve_self,
    .close = close_env,
    .free = job_env_free,
};

static json_t *template_of(const struct tx_k8s_job_options *o)
{
    static const char *const policies[][2] = {
        {"missing", "IfNotPresent"}, {"always", "Always"}, {"never", "Never"}};
    json_t *container = json_pack("{s:s, s:s, s:b, s:b}", "name", "main", "image", o->image,
                                  "stdin", 1, "stdinOnce", 1);
    for (size_t i = 0; o->pull && i < sizeof policies / sizeof *policies; i++)
        if (strcmp(o->pull, policies[i][0]) == 0)
            json_object_set_new(container, "imagePullPolicy", json_string(policies[i][1]));
    json_t *limits = json_object();
    if (o->cpu)
        json_object_set_new(limits, "cpu", json_string(o->cpu));
    if (o->memory)
        json_object_set_new(limits, "memory", json_string(o->memory));
    json_object_set_new(container, "resources",
                        json_pack("{s:O, s:o}", "requests", limits, "limits", limits));
    json_t *vars = json_array();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)o->vars, name, value)
    {
        char *text = json_is_string(value) ? without_expansion(json_string_value(value)) : NULL;
        json_t *given = text ? json_string(text) : json_incref(value);
        json_array_append_new(vars, json_pack("{s:s, s:o}", "name", name, "value", given));
        free(text);
    }
    json_object_set_new(container, "env", vars);
    json_t *spec =
        json_pack("{s:s, s:i}", "restartPolicy", "Never", "terminationGracePeriodSeconds", 2);
    if (o->service_account)
        json_object_set_new(spec, "serviceAccountName", json_string(o->service_account));
    if (o->pod)
        json_object_update(spec, (json_t *)(uintptr_t)o->pod);
    json_object_set_new(spec, "containers", json_pack("[o]", container));
    json_t *labels = o->labels ? json_copy((json_t *)(uintptr_t)o->labels) : json_object();
    json_object_set_new(labels, managed, json_string("tutti"));
    return json_pack("{s:{s:o}, s:o}", "metadata", "labels", labels, "spec", spec);
}

int tx_k8s_job_env_new(struct tt_env **out, struct tt_loop *loop,
                       const struct tx_k8s_job_options *o, struct tt_error **err)
{
    struct tx_kube *kube = NULL;
    int rc = tx_check_image_name(o->image, err);
    if (rc == 0 && o->name_space)
        rc = tx_kube_check_name("namespace", o->name_space, err);
    if (rc == 0)
        rc = tx_kube_open(&kube, loop, &o->where, err);
    if (rc < 0)
        return rc;
    struct job_env *job = tt_zalloc(sizeof *job);
    job->kube = kube;
    job->name_space = tt_strdup(o->name_space ? o->name_space : tx_kube_namespace(kube));
    job->template_ = template_of(o);
    struct tt_buf text = {0};
    tt_buf_format(&text, "k8s-job://%s?namespace=%s", o->image, job->name_space);
    if (*tx_kube_context(kube))
        tt_buf_format(&text, "&context=%s", tx_kube_context(kube));
    char *identity = tt_format("k8s-job:%s:%s", tx_kube_identity(kube), job->name_space);
    tt_env_init(&job->env, &class_, text.data, identity);
    tt_buf_free(&text);
    free(identity);
    *out = &job->env;
    return 0;
}
