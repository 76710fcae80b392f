/* Times commands against each other: compare ROUNDS --- LABEL COMMAND ARG… [--- LABEL COMMAND
 * ARG…]…
 *
 * Every command runs once to warm up, and then all run in turn, ROUNDS times, so that what else the
 * machine does falls on all alike. For each it prints one line, medians of the rounds:
 *     LABEL WALL_MS CPU_MS PEAK_KIB
 * stdin and stdout of the commands are /dev/null. A command that fails ends it with code 1.
 *
 * With TUTTI_BENCH_BEFORE, the path of an earlier tutti, a command in whose arguments the path in
 * TUTTI stands runs with that one, too, right after. Each of those has one more line:
 *     LABEL.before WALL_MS CPU_MS PEAK_KIB RATIO
 * RATIO is the median, over the rounds, of the wall time of now divided by that of before. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { max_commands = 16, max_rounds = 10000 };

struct figures {
    double wall, cpu, peak;
};

struct command {
    char *label, **argv;
    struct figures *runs;
    struct command *now; /* of the one before: the command that it is a twin of */
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double ms(struct timeval t)
{
    return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

static struct figures run(const struct command *command)
{
    posix_spawn_file_actions_t actions;
    struct rusage used;
    int status;
    pid_t pid;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    double started = now_ms();
    int failed = posix_spawnp(&pid, command->argv[0], &actions, NULL, command->argv, environ);
    if (failed || wait4(pid, &status, 0, &used) < 0) {
        fprintf(stderr, "compare: %s: %s\n", command->argv[0], strerror(failed ? failed : errno));
        exit(1);
    }
    double wall = now_ms() - started;
    posix_spawn_file_actions_destroy(&actions);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "compare: %s (%s) ended with status 0x%x\n", command->label,
                command->argv[0], (unsigned)status);
        exit(1);
    }
    return (struct figures){wall, ms(used.ru_utime) + ms(used.ru_stime), (double)used.ru_maxrss};
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* The median of one field, `offset` doubles into each of the rounds. */
static double median(const struct figures *runs, int rounds, int offset)
{
    static double values[max_rounds];
    for (int i = 0; i < rounds; i++)
        values[i] = ((const double *)&runs[i])[offset];
    return median_of(values, rounds);
}

static double median_ratio(const struct figures *runs, const struct figures *before, int rounds)
{
    static double values[max_rounds];
    for (int i = 0; i < rounds; i++)
        values[i] = runs[i].wall / before[i].wall;
    return median_of(values, rounds);
}

/* `text` with `path` in it replaced; itself without. */
static char *replaced(char *text, const char *path, const char *by)
{
    const char *at = strstr(text, path);
    char *made;
    if (!at)
        return text;
    if (asprintf(&made, "%.*s%s%s", (int)(at - text), text, by, at + strlen(path)) < 0)
        exit(1);
    return made;
}

/* Makes the twin of `command` that runs the tutti before; false where it runs none. */
static bool twin(struct command *command, struct command *twin)
{
    const char *path = getenv("TUTTI"), *before = getenv("TUTTI_BENCH_BEFORE");
    size_t n = 0;
    bool any = false;
    if (!path || !before || !*before)
        return false;
    while (command->argv[n])
        n++;
    *twin = (struct command){.argv = calloc(n + 1, sizeof(char *)), .now = command};
    if (!twin->argv || asprintf(&twin->label, "%s.before", command->label) < 0)
        exit(1);
    for (size_t i = 0; i < n; i++) {
        twin->argv[i] = replaced(command->argv[i], path, before);
        any = any || twin->argv[i] != command->argv[i];
    }
    return any;
}

static struct figures *room(int rounds)
{
    struct figures *runs = calloc((size_t)rounds, sizeof *runs);
    if (!runs)
        exit(1);
    return runs;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: compare ROUNDS --- LABEL COMMAND ARG... [--- LABEL COMMAND ARG...]...\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct command commands[max_commands] = {0};
    int count = 0, rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
    if (rounds < 1 || rounds > max_rounds)
        return usage();
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "---") == 0) {
            argv[i] = NULL; /* ends the argv before it */
            if (i + 2 >= argc || count == max_commands / 2)
                return usage();
            commands[count].label = argv[i + 1];
            commands[count].argv = &argv[i + 2];
            commands[count++].runs = room(rounds);
        }
    for (int c = 0, n = count; c < n; c++)
        if (twin(&commands[c], &commands[count]))
            commands[count++].runs = room(rounds);
    for (int c = 0; c < count; c++)
        run(&commands[c]);
    for (int i = 0; i < rounds; i++)
        for (int c = 0; c < count; c++)
            commands[c].runs[i] = run(&commands[c]);
    for (int c = 0; c < count; c++) {
        const struct figures *runs = commands[c].runs;
        const struct command *now = commands[c].now;
        printf("%s %.4f %.4f %.0f", commands[c].label, median(runs, rounds, 0),
               median(runs, rounds, 1), median(runs, rounds, 2));
        if (now)
            printf(" %.4f", median_ratio(now->runs, runs, rounds));
        putchar('\n');
    }
    return count ? 0 : usage();
}
