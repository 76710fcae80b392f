/* The least that running N shell commands can cost: spawnloop N [AT_ONCE]
 *
 * posix_spawn of `/bin/sh -c true` with a pipe for each stream, AT_ONCE (2) at a time, everything
 * read to its end and every child reaped; nothing else. What tutti's dispatch is measured against.
 */
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { max_at_once = 64 };

struct child {
    pid_t pid;
    int fd[2]; /* what is left of stdout and stderr; -1 at their end */
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void start(struct child *child)
{
    char *argv[] = {"/bin/sh", "-c", "true", NULL};
    posix_spawn_file_actions_t actions;
    int pipes[2][2];
    posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < 2; i++) {
        if (pipe2(pipes[i], O_CLOEXEC) < 0)
            fail("pipe2");
        posix_spawn_file_actions_adddup2(&actions, pipes[i][1], 1 + i);
    }
    if (posix_spawn(&child->pid, argv[0], &actions, NULL, argv, environ) != 0)
        fail("posix_spawn");
    posix_spawn_file_actions_destroy(&actions);
    for (int i = 0; i < 2; i++) {
        close(pipes[i][1]);
        child->fd[i] = pipes[i][0];
    }
}

/* Reads one stream that is ready. */
static void drain(int *fd)
{
    char bytes[65536];
    if (read(*fd, bytes, sizeof bytes) > 0)
        return;
    close(*fd);
    *fd = -1;
}

int main(int argc, char **argv)
{
    struct child children[max_at_once];
    struct pollfd polled[2 * max_at_once];
    long left = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    long at_once = argc > 2 ? strtol(argv[2], NULL, 10) : 2;
    long running = 0;
    if (left < 1 || at_once < 1 || at_once > max_at_once) {
        fprintf(stderr, "usage: spawnloop N [AT_ONCE]\n");
        return 2;
    }
    for (long i = 0; i < at_once; i++)
        children[i] = (struct child){.pid = 0, .fd = {-1, -1}};
    while (left > 0 || running > 0) {
        for (long i = 0; i < at_once; i++)
            if (left > 0 && children[i].pid == 0) {
                start(&children[i]);
                left--;
                running++;
            }
        for (long i = 0; i < 2 * at_once; i++)
            polled[i] = (struct pollfd){.fd = children[i / 2].fd[i % 2], .events = POLLIN};
        if (poll(polled, (nfds_t)(2 * at_once), -1) < 0)
            fail("poll");
        for (long i = 0; i < 2 * at_once; i++)
            if (polled[i].revents)
                drain(&children[i / 2].fd[i % 2]);
        for (long i = 0; i < at_once; i++) {
            struct child *child = &children[i];
            int status;
            if (child->pid == 0 || child->fd[0] >= 0 || child->fd[1] >= 0)
                continue;
            if (waitpid(child->pid, &status, 0) < 0 || status != 0)
                fail("waitpid");
            child->pid = 0;
            running--;
        }
    }
    return 0;
}
