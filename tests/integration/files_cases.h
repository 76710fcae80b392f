/* Files of an environment, the same cases for each: see test_docker_files.c, test_k8s_files.c. */
#ifndef FILES_CASES_H
#define FILES_CASES_H

#include "harness.h"

/* The environment that the cases use. */
extern struct tt_env *files_env;

/* CASE(name, …) for each, with what else it is given. */
#define FILES_CASES(CASE, ...)                                                                     \
    CASE(file_round_trip, __VA_ARGS__), CASE(file_large, __VA_ARGS__),                             \
        CASE(file_modes_and_links, __VA_ARGS__), CASE(file_strange_names, __VA_ARGS__),            \
        CASE(file_missing, __VA_ARGS__), CASE(file_abandoned, __VA_ARGS__),                        \
        CASE(file_tree_copied, __VA_ARGS__), CASE(file_stat, __VA_ARGS__)

void file_round_trip(void **state);
void file_large(void **state);
void file_modes_and_links(void **state);
void file_strange_names(void **state);
void file_missing(void **state);
void file_abandoned(void **state);
void file_tree_copied(void **state);
void file_stat(void **state);

#endif
