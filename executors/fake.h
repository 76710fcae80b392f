/* An environment for tests: commands that are a table, on the loop's clock, real or virtual.
 *
 * A command is matched by its text: the shell line, or the words joined by spaces. It writes what
 * its script says when it says so, ends when it says so, and reacts to signals as told. What ran is
 * recorded. A command that is in no script fails to start, kind not_found. */
#ifndef TX_FAKE_H
#define TX_FAKE_H

#include "core/base/buf.h"
#include "core/env/exec.h"

struct tx_fake_output {
    int64_t at; /* ms from the start; also after the end: a grandchild that holds the streams */
    enum tt_stream stream;
    const char *text;
};

/* Every time is in ms, TT_NEVER is never; all zero is a command that succeeds at once. */
struct tx_fake_command {
    const char *line;
    enum tt_kind refused; /* not TT_OK: it does not start, for that reason */
    int64_t start_takes;
    int64_t lasts;
    int code, signal;    /* how it ends by itself */
    enum tt_kind unseen; /* not TT_OK: its end was not observed, for that reason */
    int64_t term_takes;  /* from TERM to its end; TT_NEVER ignores TERM */
    bool unkillable;     /* KILL does nothing either */
    bool unsignallable;  /* signals cannot be sent */
    int64_t leaves;      /* how long others of its group outlive it, unless killed */
    int64_t holds;       /* how long its streams stay open after its end, whatever happens */
    const struct tx_fake_output *outputs; /* in order of time */
    size_t output_count;
};

/* One command that ran. */
struct tx_fake_run {
    char *line, *cwd; /* cwd may be NULL */
    struct tt_buf input;
    int signals[8];               /* those it got, 0-terminated */
    int64_t started_at, ended_at; /* ended_at: -1 while it runs */
    bool freed;
};

struct tt_env *tx_fake_new(struct tt_loop *loop, const char *text);
/* Adds scripts, borrowed for the environment's life; the last that matches counts. */
void tx_fake_add(struct tt_env *env, const struct tx_fake_command *commands, size_t count);
size_t tx_fake_run_count(const struct tt_env *env);
const struct tx_fake_run *tx_fake_run(const struct tt_env *env, size_t index);

#endif
