/* Inputs of a run from any bytes (core/journal/codec.h): read or refused, within what was given;
 * what is read is written, read and written again to the same bytes. */
#include "core/base/buf.h"
#include "core/env/registry.h"
#include "core/journal/codec.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *name_of(struct tt_script_host *host, uint32_t id)
{
    (void)host;
    return id ? "g" : "f";
}

static int find(struct tt_script_host *host, const char *name, uint32_t *id, struct tt_error **err)
{
    (void)host;
    *id = *name == 'g';
    return *name == 'f' || *name == 'g' ? 0 : tt_fail(err, TT_NOT_FOUND, "no %s", name);
}

static void hold(struct tt_script_host *host, uint32_t id)
{
    (void)host, (void)id;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tt_script_host_class class_ = {
        .name = name_of, .find = find, .retain = hold, .release = hold};
    static struct tt_script_host host = {&class_};
    static struct tt_loop *loop;
    static const struct tt_env_scheme *const none[] = {NULL};
    if (!loop && (tt_loop_new(&loop, TT_CLOCK_VIRTUAL, 1, NULL) < 0))
        abort();
    tt_env_schemes_use(loop, none);
    struct tt_revival revival = {loop, &host, NULL};
    struct tt_input input;
    struct tt_yield yield;
    struct tt_buf first = {0}, second = {0};
    struct tt_error *err = NULL;
    int rc = tt_input_get(data, size, &revival, &input, &yield, &err);
    if ((rc < 0) != (err != NULL) || (rc < 0 && yield.result))
        abort();
    tt_error_free(err);
    if (rc < 0)
        return 0;
    tt_input_put(&first, &input, NULL);
    tt_yield_clear(&yield);
    if (tt_input_get(first.data, first.length, &revival, &input, &yield, NULL) < 0)
        abort();
    tt_input_put(&second, &input, NULL);
    tt_yield_clear(&yield);
    if (first.length != second.length || memcmp(first.data, second.data, first.length) != 0)
        abort();
    tt_buf_free(&first);
    tt_buf_free(&second);
    return 0;
}
