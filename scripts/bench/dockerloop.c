/* Runs /bin/true in a container N times by the bare Engine API, the least that tells its output and
 * its exit code: dockerloop SOCKET CONTAINER N. Create and inspect go over one kept connection; the
 * stream of a command takes a connection of its own, which the daemon keeps for it. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { room = 64 << 10 };

static const char *socket_path;

static void fail(const char *what)
{
    fprintf(stderr, "dockerloop: %s\n", what);
    exit(1);
}

static int dial(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(socket_path) >= sizeof to.sun_path)
        fail("the socket's path is too long");
    memcpy(to.sun_path, socket_path, strlen(socket_path));
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        fail("no daemon");
    return fd;
}

static void ask(int fd, const char *method, const char *path, const char *headers, const char *body)
{
    char text[4096];
    int length = snprintf(text, sizeof text,
                          "%s %s HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n"
                          "Content-Length: %zu\r\n%s\r\n%s",
                          method, path, strlen(body), headers, body);
    if (length >= (int)sizeof text || write(fd, text, (size_t)length) != length)
        fail("cannot write");
}

/* Reads until the head is there and, with a Content-Length, that much. */
static const char *answer(int fd, char *text, int want)
{
    size_t got = 0, need = 0;
    char *body = NULL;
    while (!body || got < need) {
        ssize_t n = read(fd, text + got, room - 1 - got);
        if (n <= 0)
            fail("the connection ended");
        got += (size_t)n;
        text[got] = 0;
        body = strstr(text, "\r\n\r\n");
        char *length = body ? strcasestr(text, "\r\nContent-Length: ") : NULL;
        if (length && length < body)
            need = (size_t)(body + 4 - text) + strtoul(length + 18, NULL, 10);
    }
    if (strtol(text + 9, NULL, 10) != want)
        fail(text);
    return body + 4;
}

static void run_once(int kept, const char *container)
{
    static char text[room];
    char path[512], id[65] = "";
    snprintf(path, sizeof path, "/v1.41/containers/%s/exec", container);
    ask(kept, "POST", path, "",
        "{\"Cmd\":[\"/bin/true\"],\"AttachStdout\":true,\"AttachStderr\":true}");
    if (sscanf(answer(kept, text, 201), "{\"Id\":\"%64[0-9a-f]", id) != 1)
        fail("no id");
    int stream = dial();
    snprintf(path, sizeof path, "/v1.41/exec/%s/start", id);
    ask(stream, "POST", path, "Connection: Upgrade\r\nUpgrade: tcp\r\n",
        "{\"Detach\":false,\"Tty\":false}");
    answer(stream, text, 101);
    while (read(stream, text, room) > 0)
        continue;
    close(stream);
    snprintf(path, sizeof path, "/v1.41/exec/%s/json", id);
    ask(kept, "GET", path, "", "");
    const char *state = answer(kept, text, 200);
    if (!strstr(state, "\"Running\":false") || !strstr(state, "\"ExitCode\":0"))
        fail(state);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        fail("SOCKET CONTAINER N");
    socket_path = argv[1];
    int kept = dial();
    for (long n = strtol(argv[3], NULL, 10); n > 0; n--)
        run_once(kept, argv[2]);
    close(kept);
    return 0;
}
