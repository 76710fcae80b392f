/* What the integration programs share: a loop, a root scope, commands run to their end. They find
 * their servers in the environment (tests/support), and fail without. */
#ifndef HARNESS_H
#define HARNESS_H

#include "core/base/alloc.h"
#include "core/env/proc.h"
#include "core/files/files.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern struct tt_loop *loop;
extern struct tt_scope *root;

int set_up_loop(void **state);
int tear_down_loop(void **state); /* nothing may be left alive */

/* Runs the loop until op is finished; a second of 30 without that fails the test. */
void await(struct tt_op *op);
void await_release(struct tt_op *op); /* and it must have succeeded */
void pass(int64_t ms);

/* A command to its end. The caller releases the result. */
struct tt_result *run_shell(struct tt_env *env, const char *line);
struct tt_result *run_words(struct tt_env *env, char *const *words);
struct tt_result *run_command(struct tt_env *env, struct tt_command *command,
                              const struct tt_capture_options *options);
/* Runs a program of this machine (tests/support/…); returns its exit code. */
int host(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Its output, allocated. */
char *host_output(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define assert_kind(op_, kind_)                                                                    \
    do {                                                                                           \
        assert_non_null((op_)->error);                                                             \
        if ((op_)->error->kind != (kind_))                                                         \
            print_error("got %s: %s\n", tt_kind_name((op_)->error->kind), (op_)->error->message);  \
        assert_int_equal((op_)->error->kind, kind_);                                               \
    } while (0)
#define assert_done(op_)                                                                           \
    do {                                                                                           \
        if ((op_)->error) {                                                                        \
            char *text_ = tt_error_text((op_)->error);                                             \
            print_error("%s: %s\n", tt_kind_name((op_)->error->kind), text_);                      \
            free(text_);                                                                           \
        }                                                                                          \
        assert_null((op_)->error);                                                                 \
    } while (0)
#define assert_result(result_, kind_)                                                              \
    do {                                                                                           \
        if ((result_)->kind != (kind_))                                                            \
            print_error("%s (%d): %s | %s | %s\n",                                                 \
                        (result_)->kind ? tt_kind_name((result_)->kind) : "ok", (result_)->code,   \
                        (result_)->message ? (result_)->message : "",                              \
                        (result_)->out.data ? (result_)->out.data : "",                            \
                        (result_)->err.data ? (result_)->err.data : "");                           \
        assert_int_equal((result_)->kind, kind_);                                                  \
    } while (0)

#endif
