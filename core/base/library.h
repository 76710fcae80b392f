/* Optional libraries, loaded when they are first needed: linking them would cost every start of
 * tutti milliseconds and megabytes that most runs never use.
 *
 * A library is described once, beside the table of functions that it fills; it stays loaded until
 * the process ends. Any thread may load one. A failure is not remembered: the next call tries
 * again.
 *
 *     static struct { __typeof__(yaml_parser_load) *parser_load; … } yaml;
 *     static const char *const names[] = {"yaml_parser_load", …, NULL};
 *     static struct tt_library library = {
 *         .file = "libyaml-0.so.2", .needed = "YAML needs libyaml (Debian package libyaml-0-2)",
 *         .names = names, .table = &yaml, .fault = "yaml.dlopen"};
 *     if (tt_library_load(&library, err) < 0) … */
#ifndef TT_LIBRARY_H
#define TT_LIBRARY_H

#include "core/base/error.h"

#include <stdatomic.h>
#include <stdbool.h>

struct tt_library {
    const char *file;         /* what dlopen is given */
    const char *needed;       /* the error's text up to ", which could not be loaded" */
    const char *const *names; /* of the functions, with their prefix; ends with NULL */
    void *table;              /* a struct of as many function pointers, in the order of names */
    const char *fault;        /* the name of a fault point that makes loading fail */
    void (*loaded)(void);     /* called once, before anybody uses the table; NULL: nothing to do */
    /* private to library.c, zero to begin with */
    void *handle;
    atomic_bool ready;
};

/* Fills the table; does nothing when it is filled. Kind `unsupported` when the library or one of
 * the named functions is missing. */
int tt_library_load(struct tt_library *library, struct tt_error **err);
/* One more function of a loaded library, or of a library that it depends on; NULL: it has none of
 * that name. */
void *tt_library_find(const struct tt_library *library, const char *name);

#endif
