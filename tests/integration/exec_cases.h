/* Commands in an environment, the same cases for each: see test_docker_exec.c, test_k8s_exec.c. */
#ifndef EXEC_CASES_H
#define EXEC_CASES_H

#include "harness.h"

/* The environment that the cases use: it has /bin/sh, ps and printf. */
extern struct tt_env *exec_env;
/* Makes one of this kind for a container or pod of that name; NULL: the name is `invalid`. */
extern struct tt_env *(*exec_env_named)(const char *name);

/* CASE(name, …) for each, with what else it is given. */
#define EXEC_CASES(CASE, ...)                                                                      \
    CASE(exec_output_and_code, __VA_ARGS__), CASE(exec_words_arrive_exactly, __VA_ARGS__),         \
        CASE(exec_cwd_and_env, __VA_ARGS__), CASE(exec_codes, __VA_ARGS__),                        \
        CASE(exec_stdin_reaches_and_ends, __VA_ARGS__),                                            \
        CASE(exec_megabyte_for_nobody, __VA_ARGS__), CASE(exec_megabytes_both_ways, __VA_ARGS__),  \
        CASE(exec_timeout_kills_the_group, __VA_ARGS__),                                           \
        CASE(exec_quick_end_by_term, __VA_ARGS__), CASE(exec_background_child, __VA_ARGS__),       \
        CASE(exec_terminal, __VA_ARGS__), CASE(exec_many_at_once, __VA_ARGS__),                    \
        CASE(exec_nowhere, __VA_ARGS__), CASE(exec_refused_names, __VA_ARGS__)

void exec_output_and_code(void **state);
void exec_words_arrive_exactly(void **state);
void exec_cwd_and_env(void **state);
void exec_codes(void **state);
void exec_stdin_reaches_and_ends(void **state);
void exec_megabyte_for_nobody(void **state);
void exec_megabytes_both_ways(void **state);
void exec_timeout_kills_the_group(void **state);
void exec_quick_end_by_term(void **state);
void exec_background_child(void **state);
void exec_terminal(void **state);
void exec_many_at_once(void **state);
void exec_nowhere(void **state);
void exec_refused_names(void **state);

#endif
