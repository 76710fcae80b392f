/* Matrix expansion: one task for each combination of values. The names are sorted and the values
 * keep their order, so the instances come in the same order in every run: test[os=linux,v=1],
 * test[os=linux,v=2] … They share everything of the task but the values. */
#include "core/base/alloc.h"
#include "core/base/buf.h"
#include "lua/flow/flow.h"
#include "lua/value/error.h"
#include "lua/value/value.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

enum { most_axes = 16, most_instances = 1000000 };

struct axis {
    const char *name; /* the table's */
    char *variable;
    struct tt_matrix_value *values;
    size_t count;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct axis *)a)->name, ((const struct axis *)b)->name);
}

static void read_value(struct lt_options *o, struct lt_flow *flow, const struct axis *axis,
                       struct tt_matrix_value *value)
{
    lua_State *L = o->L;
    int type = lua_type(L, -1);
    if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN) {
        const char *got = lt_describe(L, -1);
        lt_invalid(L,
                   "%s: option 'matrix': a value of %s must be a string, a number or a "
                   "boolean, got %s",
                   o->what, axis->name, got);
    }
    struct tt_error *err = NULL;
    json_t *json = lt_to_json(L, -1, axis->name, &err);
    if (!json)
        lt_raise(L, err);
    value->value = tt_plan_keep(flow->plan, json);
    char *text = tt_value_text(json);
    value->text = tt_plan_text(flow->plan, text, strlen(text));
    bool odd = strpbrk(text, ",]\n\r") ||
               strlen(text) != (json_is_string(json) ? json_string_length(json) : strlen(text));
    free(text);
    if (odd)
        lt_invalid(L,
                   "%s: option 'matrix': the value '%s' of %s would make an ambiguous name "
                   "(no comma, bracket, line end or NUL)",
                   o->what, value->text, axis->name);
    value->name = tt_plan_intern(flow->plan, axis->name);
    value->variable = axis->variable;
}

/* The name is at -2, the list of values at -1. */
static void read_axis(struct lt_options *o, struct lt_flow *flow, struct axis *axis)
{
    lua_State *L = o->L;
    if (lua_type(L, -2) != LUA_TSTRING)
        lt_option_wrong(o, "matrix", "a table like { os = { \"linux\", \"mac\" } }");
    axis->name = lua_tostring(L, -2);
    size_t length = strlen(axis->name);
    if (strspn(axis->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") !=
            length ||
        length == 0)
        lt_invalid(L, "%s: option 'matrix': the name '%s' has other than letters, digits and _",
                   o->what, axis->name);
    if (!lua_istable(L, -1)) {
        const char *got = lt_describe(L, -1);
        lt_invalid(L, "%s: option 'matrix': %s must be a list of values, got %s", o->what,
                   axis->name, got);
    }
    axis->count = lt_check_sequence(L, -1, o->what, axis->name);
    if (axis->count == 0)
        lt_invalid(L, "%s: option 'matrix': %s has no values, so there would be no task", o->what,
                   axis->name);
    const char *variable = lua_pushfstring(L, "MATRIX_%s", axis->name);
    axis->variable = tt_plan_intern(flow->plan, variable);
    lua_pop(L, 1);
    axis->values = tt_plan_alloc(flow->plan, axis->count * sizeof *axis->values);
    for (size_t i = 0; i < axis->count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        read_value(o, flow, axis, &axis->values[i]);
        lua_pop(L, 1);
    }
}

static void add_instance(struct lt_options *o, struct lt_flow *flow, const struct tt_task *task,
                         const struct axis *axes, size_t axis_count, const size_t *at)
{
    struct tt_plan *plan = flow->plan;
    struct tt_task *instance = tt_plan_alloc(plan, sizeof *instance);
    struct tt_task_more *more = tt_plan_alloc(plan, sizeof *more);
    *instance = *task;
    if (task->more)
        *more = *task->more;
    instance->more = more;
    more->group = task->name;
    more->matrix = tt_plan_alloc(plan, axis_count * sizeof *more->matrix);
    more->matrix_count = (uint32_t)axis_count;
    struct tt_buf name = {0};
    tt_buf_format(&name, "%s[", task->name);
    for (size_t i = 0; i < axis_count; i++) {
        more->matrix[i] = axes[i].values[at[i]];
        tt_buf_format(&name, "%s%s=%s", i ? "," : "", axes[i].name, more->matrix[i].text);
    }
    tt_buf_text(&name, "]");
    instance->name = tt_plan_text(plan, name.data, name.length);
    tt_buf_free(&name);
    lt_flow_add_task(o->L, flow, instance);
}

void lt_add_matrix(struct lt_options *o, struct lt_flow *flow, struct tt_task *task)
{
    lua_State *L = o->L;
    struct axis axes[most_axes];
    size_t at[most_axes] = {0}, count = 0, instances = 1;
    if (!lua_istable(L, -1))
        lt_option_wrong(o, "matrix", "a table like { os = { \"linux\", \"mac\" } }");
    int table = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        if (count == most_axes)
            lt_invalid(L, "%s: option 'matrix' has more than %d names", o->what, (int)most_axes);
        read_axis(o, flow, &axes[count]);
        instances *= axes[count++].count;
        if (instances > most_instances)
            lt_invalid(L, "%s: option 'matrix' makes more than %d tasks", o->what,
                       (int)most_instances);
        lua_pop(L, 1);
    }
    if (count == 0)
        lt_invalid(L, "%s: option 'matrix' is empty, so there would be no task", o->what);
    qsort(axes, count, sizeof *axes, by_name);
    for (size_t i = 0; i < instances; i++) {
        add_instance(o, flow, task, axes, count, at);
        for (size_t axis = count; axis-- > 0;) { /* the last name changes fastest */
            if (++at[axis] < axes[axis].count)
                break;
            at[axis] = 0;
        }
    }
}
