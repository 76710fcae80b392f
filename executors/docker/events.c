#include "executors/docker/events.h"

#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "core/base/json.h"
#include "core/base/owner.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { idle_ms = 2000, longest_line = 1 << 20, piece = 16 << 10 };

/* Belongs to its daemon. Those who watch hold the daemon. */
struct tx_docker_events {
    struct tx_docker *docker;
    struct tt_loop *loop;
    struct tt_scope *scope;
    struct tx_exchange *exchange;
    struct tt_op *waiting; /* for the head or for bytes */
    struct tt_buf lines;
    struct tx_docker_watch *watches;
    struct tx_docker_watch *at; /* the next one to be told */
    struct tt_timer idle;
};

static void hang_up(struct tx_docker_events *events)
{
    tt_op_drop_because(&events->waiting, "no longer wanted");
    tx_exchange_free(events->exchange);
    events->exchange = NULL;
    events->lines.length = 0;
}

static void broken(struct tx_docker_events *events, const struct tt_error *why)
{
    struct tx_docker *docker = events->docker;
    struct tt_error *copy = tt_error_copy(why);
    tx_docker_retain(docker); /* the watches may let go of it */
    hang_up(events);
    for (struct tx_docker_watch *watch; (watch = events->watches);) {
        events->watches = watch->next;
        watch->joined = false;
        watch->broken(watch, copy);
    }
    tt_error_free(copy);
    tx_docker_release(docker);
}

static void tell(struct tx_docker_events *events, const char *line, size_t length)
{
    json_t *event = NULL;
    if (tt_json_parse(&event, line, length, "event", NULL) < 0)
        return;
    const char *action = tx_json_text(event, "Action");
    if (!*action)
        action = tx_json_text(event, "status");
    const json_t *actor = json_object_get(event, "Actor");
    const char *container = tx_json_text(actor, "ID");
    for (struct tx_docker_watch *watch = events->watches; watch; watch = events->at) {
        events->at = watch->next;
        watch->event(watch, action, container, json_object_get(actor, "Attributes"));
    }
    json_decref(event);
}

static void on_bytes(struct tt_op *op, void *arg)
{
    struct tx_docker_events *events = arg;
    struct tt_error *ended = NULL;
    events->waiting = NULL;
    const struct tt_bytes *bytes = tt_bytes_of(op);
    if (op->error) {
        ended = tt_error_copy(op->error);
    } else if (!bytes->length || events->lines.length > longest_line) {
        ended = tt_error_new(TT_LOST, "the daemon's events ended");
    } else {
        tt_buf_add(&events->lines, bytes->data, bytes->length);
        struct tx_docker *docker = events->docker;
        tx_docker_retain(docker);
        for (char *stop; events->exchange && events->lines.length &&
                         (stop = memchr(events->lines.data, '\n', events->lines.length));) {
            size_t length = (size_t)(stop - events->lines.data);
            char *line = tt_strndup(events->lines.data, length);
            tt_buf_drop(&events->lines, length + 1);
            if (length)
                tell(events, line, length);
            free(line);
        }
        if (events->exchange) {
            events->waiting = tx_exchange_read(events->exchange, events->scope, piece);
            tt_op_await(events->waiting, on_bytes, events);
        }
        tx_docker_release(docker);
        tt_op_release(op);
        return;
    }
    tt_op_release(op);
    broken(events, ended);
    tt_error_free(ended);
}

static void on_head(struct tt_op *op, void *arg)
{
    struct tx_docker_events *events = arg;
    struct tt_error *err = tt_error_copy(op->error);
    events->waiting = NULL;
    tt_op_release(op);
    if (!err && tx_exchange_status(events->exchange) != 200)
        err = tt_error_new(TT_IO, "the daemon gives no events (status %d)",
                           tx_exchange_status(events->exchange));
    if (err) {
        broken(events, err);
        tt_error_free(err);
        return;
    }
    events->waiting = tx_exchange_read(events->exchange, events->scope, piece);
    tt_op_await(events->waiting, on_bytes, events);
}

static int call(struct tx_docker_events *events, int64_t since, struct tt_error **err)
{
    struct tt_buf path = {0};
    tt_buf_text(&path, "/events?filters=");
    tx_url_escape(&path, "{\"type\":[\"container\"],\"event\":[\"exec_die\",\"kill\",\"die\","
                         "\"destroy\",\"health_status\"]}");
    if (since)
        tt_buf_format(&path, "&since=%lld", (long long)since);
    struct tx_http_request request = {.method = "GET", .path = path.data};
    int rc = tx_exchange_start(&events->exchange, tx_docker_http(events->docker), &request, err);
    tt_buf_free(&path);
    if (rc == 0) {
        events->waiting = tx_exchange_head(events->exchange, events->scope);
        tt_op_await(events->waiting, on_head, events);
    }
    return rc;
}

static void on_idle(struct tt_timer *timer)
{
    hang_up(tt_owner(timer, struct tx_docker_events, idle));
}

void tx_docker_events_join(struct tx_docker *docker, struct tx_docker_watch *watch, int64_t since)
{
    struct tx_docker_events **place = tx_docker_events_place(docker);
    if (!*place) {
        *place = tt_zalloc(sizeof **place);
        (*place)->docker = docker;
        (*place)->loop = tx_http_loop(tx_docker_http(docker));
        (*place)->scope = tt_scope_new((*place)->loop, NULL);
    }
    struct tx_docker_events *events = *place;
    watch->next = events->watches;
    watch->joined = true;
    events->watches = watch;
    tt_timer_stop(events->loop, &events->idle);
    struct tt_error *err = NULL;
    if (!events->exchange && call(events, since, &err) < 0)
        broken(events, err);
    tt_error_free(err);
}

void tx_docker_events_leave(struct tx_docker *docker, struct tx_docker_watch *watch)
{
    if (!watch->joined)
        return;
    struct tx_docker_events *events = *tx_docker_events_place(docker);
    struct tx_docker_watch **at = &events->watches;
    while (*at != watch)
        at = &(*at)->next;
    *at = watch->next;
    if (events->at == watch)
        events->at = watch->next;
    watch->joined = false;
    if (!events->watches)
        tt_timer_start(events->loop, &events->idle,
                       tt_deadline_after(tt_loop_now(events->loop), idle_ms), on_idle);
}

void tx_docker_events_rest(struct tx_docker *docker)
{
    struct tx_docker_events *events = *tx_docker_events_place(docker);
    if (events && !events->watches) {
        tt_timer_stop(events->loop, &events->idle);
        hang_up(events);
    }
}

void tx_docker_events_free(struct tx_docker_events *events)
{
    if (!events)
        return;
    hang_up(events);
    tt_timer_stop(events->loop, &events->idle);
    tt_buf_free(&events->lines);
    tt_scope_release(events->scope);
    free(events);
}

int64_t tx_docker_date(const char *date)
{
    struct tm when = {0};
    const char *end = date ? strptime(date, "%a, %d %b %Y %H:%M:%S", &when) : NULL;
    return end ? (int64_t)timegm(&when) : 0;
}
