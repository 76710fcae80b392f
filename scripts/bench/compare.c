/* Times commands against each other: compare ROUNDS --- LABEL COMMAND ARG… [--- LABEL COMMAND
 * ARG…]…
 *
 * Every command runs once to warm up, and then all run in turn, ROUNDS times, so that what else the
 * machine does falls on all alike. For each it prints one line, medians of the rounds:
 *     LABEL WALL_MS CPU_MS PEAK_KIB
 * stdin and stdout of the commands are /dev/null. A command that fails ends it with code 1. */
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

/* The median of one field, `offset` doubles into each of the rounds. */
static double median(const struct figures *runs, int rounds, int offset)
{
    static double values[max_rounds];
    for (int i = 0; i < rounds; i++)
        values[i] = ((const double *)&runs[i])[offset];
    qsort(values, (size_t)rounds, sizeof *values, by_value);
    return rounds % 2 ? values[rounds / 2] : (values[rounds / 2 - 1] + values[rounds / 2]) / 2;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: compare ROUNDS --- LABEL COMMAND ARG... [--- LABEL COMMAND ARG...]...\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct command commands[max_commands];
    int count = 0, rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
    if (rounds < 1 || rounds > max_rounds)
        return usage();
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "---") == 0) {
            argv[i] = NULL; /* ends the argv before it */
            if (i + 2 >= argc || count == max_commands)
                return usage();
            commands[count].label = argv[i + 1];
            commands[count].argv = &argv[i + 2];
            commands[count].runs = calloc((size_t)rounds, sizeof(struct figures));
            if (!commands[count++].runs)
                return 1;
        }
    for (int c = 0; c < count; c++)
        run(&commands[c]);
    for (int i = 0; i < rounds; i++)
        for (int c = 0; c < count; c++)
            commands[c].runs[i] = run(&commands[c]);
    for (int c = 0; c < count; c++) {
        const struct figures *runs = commands[c].runs;
        printf("%s %.4f %.4f %.0f\n", commands[c].label, median(runs, rounds, 0),
               median(runs, rounds, 1), median(runs, rounds, 2));
        free(commands[c].runs);
    }
    return count ? 0 : usage();
}
