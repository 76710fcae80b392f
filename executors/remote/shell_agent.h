/* A shell that stays in an environment for a while and answers small questions: one command of the
 * environment, many scripts. A question then costs a millisecond and not a whole exec.
 *
 * There is at most one for each environment; it ends after two seconds without a question, or by
 * tx_agent_end. A question is one line of shell, run in a subshell, with stderr in its output; its
 * input, if any, it reads with `dd bs=LENGTH count=1 iflag=fullblock`. A cancelled question ends
 * the shell that was busy with it. */
#ifndef TX_SHELL_AGENT_H
#define TX_SHELL_AGENT_H

#include "core/base/buf.h"
#include "core/env/exec.h"

enum { tx_agent_input_max = 256 << 10 };

/* script: one line (see tx_agent_quote); copied, as is input. An answer longer than max is
 * `output_limit`. */
struct tt_op *tx_agent_ask(struct tt_env *env, struct tt_scope *scope, const char *script,
                           const void *input, size_t length, size_t max);
struct tt_buf *tx_agent_answer(struct tt_op *op); /* of the operation; may be taken */
int tx_agent_code(struct tt_op *op);
/* Ends the environment's shell, if it has one. */
void tx_agent_end(struct tt_loop *loop, struct tt_env *env);

/* Appends text as one word of such a script. */
void tx_agent_quote(struct tt_buf *script, const char *text);

#endif
