#include "executors/remote/shell_agent.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/owner.h"
#include "core/base/quote.h"
#include "executors/remote/shim.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { idle_ms = 2000, piece = 64 << 10 };

struct ask {
    struct tt_op op;
    struct agent *agent; /* NULL once answered or cancelled */
    char *script;
    char *input;
    size_t length, max;
    struct tt_buf answer;
    int code;
    struct ask *next;
};

struct agent {
    struct tt_env *env; /* held */
    struct tt_loop *loop;
    struct tt_scope *own;
    struct tt_process *process;
    struct tt_op *starting, *reading, *writing;
    struct tx_reports reports;
    struct ask *first, **last;
    bool asked; /* the first one was sent */
    struct tt_timer idle;
    struct agent *next;
};

/* The shells that run for a loop's environments. */
static struct agent **agents_of(struct tt_loop *loop)
{
    static const struct tt_slot slot = {.size = sizeof(struct agent *)};
    return tt_loop_slot(loop, &slot);
}

static void advance(struct agent *agent);

/* --- its end --- */

static void forget(struct agent *agent)
{
    struct agent **at = agents_of(agent->loop);
    while (*at && *at != agent)
        at = &(*at)->next;
    if (*at)
        *at = agent->next;
}

/* Frees the shell once a signal to it was sent. */
struct burial {
    struct tt_process *process;
    struct tt_scope *scope;
};

static void on_buried(struct tt_op *op, void *arg)
{
    struct burial *burial = arg;
    burial->process->class_->free(burial->process);
    tt_scope_release(burial->scope);
    tt_op_release(op);
    free(burial);
}

/* Ends the shell. busy: it may be in the middle of something that the end of stdin does not end. */
static void end(struct agent *agent, bool busy)
{
    forget(agent);
    tt_op_drop_because(&agent->starting, "no longer wanted");
    tt_op_drop_because(&agent->reading, "no longer wanted");
    tt_op_drop_because(&agent->writing, "no longer wanted");
    tt_timer_stop(agent->loop, &agent->idle);
    if (agent->process && busy) {
        struct burial *burial = tt_zalloc(sizeof *burial);
        burial->process = agent->process;
        burial->scope =
            tt_scope_shielded(agent->loop, tt_deadline_after(tt_loop_now(agent->loop), 10000));
        tt_op_await(agent->process->class_->signal(agent->process, burial->scope, SIGKILL),
                    on_buried, burial);
    } else if (agent->process) {
        agent->process->class_->free(agent->process);
    }
    tt_buf_free(&agent->reports.held);
    tt_scope_release(agent->own);
    tt_env_release(agent->env);
    free(agent);
}

/* Everybody who asked gets the error; the shell is given up. */
static void broken(struct agent *agent, struct tt_error *err)
{
    while (agent->first) {
        struct ask *ask = agent->first;
        agent->first = ask->next;
        ask->agent = NULL;
        tt_op_finish(&ask->op, tt_error_copy(err));
    }
    tt_error_free(err);
    end(agent, false);
}

static void on_idle(struct tt_timer *timer)
{
    end(tt_owner(timer, struct agent, idle), false);
}

/* --- talking to it --- */

static void answered(struct agent *agent, int code)
{
    struct ask *ask = agent->first;
    agent->first = ask->next;
    if (!agent->first)
        agent->last = &agent->first;
    agent->asked = false;
    ask->agent = NULL;
    ask->code = code;
    struct tt_error *err = NULL;
    if (ask->answer.length > ask->max)
        err = tt_error_new(TT_OUTPUT_LIMIT, "the answer is longer than %zu bytes", ask->max);
    tt_op_finish(&ask->op, err);
}

static void on_bytes(struct tt_op *op, void *arg)
{
    struct agent *agent = arg;
    const struct tt_bytes *bytes = tt_bytes_of(op);
    struct tt_error *err = tt_error_copy(op->error);
    agent->reading = NULL;
    if (!err && !bytes->length)
        err =
            tt_error_new(TT_LOST, "%s: the shell that looked after files ended", agent->env->text);
    struct tt_buf out = {0};
    struct tx_report report;
    bool more = !err && tx_reports_next(&agent->reports, bytes->data, bytes->length, &out, &report);
    struct ask *ask = agent->first;
    if (!err && out.length && ask && ask->answer.length <= ask->max)
        tt_buf_add(&ask->answer, out.data, out.length);
    if (more && ask && agent->asked)
        answered(agent, report.code);
    tt_buf_free(&out);
    tt_op_release(op);
    if (err)
        broken(agent, err);
    else
        advance(agent);
}

static void on_written(struct tt_op *op, void *arg)
{
    struct agent *agent = arg;
    struct tt_error *err = tt_error_copy(op->error);
    agent->writing = NULL;
    tt_op_release(op);
    if (err)
        broken(agent, err);
    else
        advance(agent);
}

static void put(struct agent *agent, const struct ask *ask)
{
    struct tt_buf text = {0};
    tt_buf_format(&text, "%s\n", ask->script);
    tt_buf_add(&text, ask->input, ask->length);
    agent->writing =
        agent->process->class_->write(agent->process, agent->own, text.data, text.length);
    tt_buf_free(&text);
    agent->asked = true;
    tt_op_await(agent->writing, on_written, agent);
}

static void advance(struct agent *agent)
{
    if (!agent->process)
        return;
    if (!agent->first && !agent->writing) {
        tt_timer_start(agent->loop, &agent->idle,
                       tt_deadline_after(tt_loop_now(agent->loop), idle_ms), on_idle);
        return;
    }
    tt_timer_stop(agent->loop, &agent->idle);
    if (!agent->asked && !agent->writing)
        put(agent, agent->first);
    if (!agent->reading) {
        agent->reading = agent->process->class_->read(agent->process, agent->own, TT_STDOUT, piece);
        tt_op_await(agent->reading, on_bytes, agent);
    }
}

static void on_started(struct tt_op *op, void *arg)
{
    struct agent *agent = arg;
    struct tt_error *err = tt_error_copy(op->error);
    agent->starting = NULL;
    agent->process = tt_process_of(op);
    tt_op_release(op);
    if (err)
        broken(agent, err);
    else
        advance(agent);
}

static int begin(struct agent *agent, struct tt_error **err)
{
    int rc = tx_shim_nonce(agent->reports.nonce, err);
    if (rc < 0)
        return rc;
    struct tt_command command = {0};
    command.argv = tt_reallocarray(NULL, 4, sizeof *command.argv);
    command.argv[0] = tt_strdup("/bin/sh");
    command.argv[1] = tt_strdup("-c");
    command.argv[2] = tt_format("LC_ALL=C;export LC_ALL;N='\n';while IFS= read -r l;do "
                                "eval \"($l)\" 2>&1;printf '\\036%s:X%%s\\037' $?;done",
                                agent->reports.nonce);
    command.argv[3] = NULL;
    command.stdin_open = true;
    agent->starting = agent->env->class_->start(agent->env, agent->own, &command);
    tt_op_await(agent->starting, on_started, agent);
    tt_command_clear(&command);
    return 0;
}

static struct agent *agent_of(struct tt_loop *loop, struct tt_env *env)
{
    struct agent *agent = *agents_of(loop);
    while (agent && agent->env != env)
        agent = agent->next;
    return agent;
}

void tx_agent_end(struct tt_loop *loop, struct tt_env *env)
{
    struct agent *agent = agent_of(loop, env);
    if (!agent)
        return;
    struct tt_error *why = tt_error_new(TT_CANCELLED, "%s was closed", env->text);
    bool busy = agent->asked;
    while (agent->first) {
        struct ask *ask = agent->first;
        agent->first = ask->next;
        ask->agent = NULL;
        tt_op_finish(&ask->op, tt_error_copy(why));
    }
    tt_error_free(why);
    end(agent, busy);
}

/* --- questions --- */

/* Gives the question to the environment's shell, which is started when there is none. */
static void queue(struct tt_env *env, struct ask *ask)
{
    struct agent *agent = agent_of(ask->op.loop, env);
    struct tt_error *err = NULL;
    bool fresh = !agent;
    if (fresh) {
        agent = tt_zalloc(sizeof *agent);
        agent->env = env;
        tt_env_retain(env);
        agent->loop = ask->op.loop;
        agent->own = tt_scope_new(agent->loop, NULL);
        agent->last = &agent->first;
        agent->next = *agents_of(agent->loop);
        *agents_of(agent->loop) = agent;
    }
    ask->agent = agent;
    *agent->last = ask;
    agent->last = &ask->next;
    if (fresh && begin(agent, &err) < 0)
        broken(agent, err);
    else
        advance(agent);
}

static struct ask *ask_of(struct tt_op *op)
{
    return (struct ask *)(void *)op;
}

static void ask_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct ask *ask = ask_of(op);
    struct agent *agent = ask->agent;
    bool busy = agent->first == ask && agent->asked;
    struct ask **at = &agent->first;
    while (*at != ask)
        at = &(*at)->next;
    *at = ask->next;
    if (!*at)
        agent->last = at;
    ask->agent = NULL;
    tt_op_finish(op, tt_error_copy(why));
    if (!busy)
        return;
    /* Those who wait behind ask another shell. */
    struct ask *others = agent->first;
    struct tt_env *env = agent->env;
    tt_env_retain(env);
    agent->first = NULL;
    end(agent, true);
    while (others) {
        struct ask *other = others;
        others = other->next;
        other->next = NULL;
        other->agent = NULL;
        queue(env, other);
    }
    tt_env_release(env);
}

static void ask_free(struct tt_op *op)
{
    struct ask *ask = ask_of(op);
    free(ask->script);
    free(ask->input);
    tt_buf_free(&ask->answer);
    free(ask);
}

struct tt_op *tx_agent_ask(struct tt_env *env, struct tt_scope *scope, const char *script,
                           const void *input, size_t length, size_t max)
{
    static const struct tt_op_class class_ = {"ask a shell", ask_cancel, ask_free};
    struct ask *ask = tt_zalloc(sizeof *ask);
    tt_op_init(&ask->op, &class_, scope);
    if (tt_op_finished(&ask->op))
        return &ask->op;
    ask->script = tt_strdup(script);
    ask->max = max;
    ask->length = length;
    if (length) {
        ask->input = tt_alloc(length);
        memcpy(ask->input, input, length);
    }
    queue(env, ask);
    return &ask->op;
}

struct tt_buf *tx_agent_answer(struct tt_op *op)
{
    return &ask_of(op)->answer;
}

int tx_agent_code(struct tt_op *op)
{
    return ask_of(op)->code;
}

void tx_agent_quote(struct tt_buf *script, const char *text)
{
    struct tt_buf word = {0};
    tt_quote(&word, text, strlen(text));
    for (const char *at = word.data; *at;) {
        size_t run = strcspn(at, "\n");
        tt_buf_add(script, at, run);
        at += run;
        if (*at) {
            tt_buf_text(script, "'\"$N\"'"); /* a line of script has no newline in it */
            at++;
        }
    }
    tt_buf_free(&word);
}
