/* The shell agent: a shell that stays in an environment for a while and answers small questions. It
 * is one command of the environment for many scripts, so that a question costs a millisecond and
 * not a whole exec. (The agent of executors/ssh/login is another thing: OpenSSH's.)
 *
 * An environment has one at most, started by the first question; it ends after two seconds without
 * a question, or by tx_agent_end. Loop thread. A question is one line of shell, run in a subshell,
 * with stderr in its output; its input, if any, it reads with `dd bs=LENGTH count=1
 * iflag=fullblock`. Cancelling a question ends the shell that is busy with it. */
#ifndef TX_SHELL_AGENT_H
#define TX_SHELL_AGENT_H

#include "core/base/buf.h"
#include "core/env/exec.h"

enum { tx_agent_input_max = 256 << 10 };

/* Asks a question: `script` is one line (see tx_agent_quote), `input` its stdin; both are copied.
 * Kind `output_limit` when the answer is longer than `max` bytes. */
struct tt_op *tx_agent_ask(struct tt_env *env, struct tt_scope *scope, const char *script,
                           const void *input, size_t length, size_t max);
struct tt_buf *tx_agent_answer(struct tt_op *op); /* what the script wrote; may be taken out */
int tx_agent_code(struct tt_op *op);              /* the script's exit code */
/* Ends the environment's shell, if it has one. */
void tx_agent_end(struct tt_loop *loop, struct tt_env *env);

/* Appends text as one word of such a script. */
void tx_agent_quote(struct tt_buf *script, const char *text);

#endif
