/* How a command ended: the shared value, signal names, the error that it stands for. */
#include "core/base/alloc.h"
#include "core/env/proc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The holder sees only the result. */
struct counted {
    struct tt_result result;
    unsigned refs;
};

struct tt_result *tt_result_new(void)
{
    struct counted *made = tt_zalloc(sizeof *made);
    made->refs = 1;
    made->result.code = -1;
    made->result.usage = (struct tt_usage){-1, -1, -1, -1, -1};
    return &made->result;
}

struct tt_result *tt_result_retain(struct tt_result *result)
{
    ((struct counted *)(void *)result)->refs++;
    return result;
}

void tt_result_release(struct tt_result *result)
{
    if (!result || --((struct counted *)(void *)result)->refs > 0)
        return;
    tt_buf_free(&result->out);
    tt_buf_free(&result->err);
    free(result->env);
    free(result->message);
    free(result);
}

/* Linux's numbers, which are the contract's: an executor translates to them. */
static const char *const names[] = {
    NULL,   "HUP",  "INT",  "QUIT", "ILL",    "TRAP",   "ABRT",  "BUS",  "FPE",  "KILL", "USR1",
    "SEGV", "USR2", "PIPE", "ALRM", "TERM",   "STKFLT", "CHLD",  "CONT", "STOP", "TSTP", "TTIN",
    "TTOU", "URG",  "XCPU", "XFSZ", "VTALRM", "PROF",   "WINCH", "POLL", "PWR",  "SYS",
};
enum { name_count = sizeof names / sizeof *names, last_signal = 64 };

const char *tt_signal_name(int signal)
{
    static char numbers[last_signal + 1][4];
    if (signal > 0 && signal < name_count)
        return names[signal];
    if (signal < 0 || signal > last_signal)
        return "?";
    snprintf(numbers[signal], sizeof numbers[signal], "%d", signal);
    return numbers[signal];
}

int tt_signal_number(const char *name)
{
    if (strncmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; i < name_count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    if (strcmp(name, "IOT") == 0)
        return tt_signal_number("ABRT");
    char *end;
    long number = strtol(name, &end, 10);
    return *name >= '0' && *name <= '9' && !*end && number <= last_signal ? (int)number : 0;
}

struct tt_error *tt_result_error(const struct tt_result *result)
{
    return tt_error_new(result->kind, "%s",
                        result->message ? result->message : "the command failed");
}
