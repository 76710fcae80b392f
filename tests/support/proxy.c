/* A TCP proxy for tests that misbehaves on command: proxy LISTEN TARGET CONTROL
 *
 *     LISTEN   [ADDRESS:]PORT to accept on (127.0.0.1; port 0 picks one)
 *     TARGET   HOST:PORT, or the path of a unix socket
 *     CONTROL  path of a unix socket that takes commands, one a line, each answered by one line
 *
 * It prints "listening PORT" when it is ready. Commands act on all connections, present and future:
 *     delay MS      every chunk arrives so much later, both ways
 *     stall         nothing passes any more, connections stay open      resume   undoes it
 *     truncate N    each connection passes N more bytes from target to client, then closes;
 * `resume` undoes it cut N         the same, but ends with a reset refuse        new connections
 * are closed at once                  accept   undoes it close         ends all connections in an
 * orderly way (FIN) reset         ends all connections with RST stats         "connections=OPEN
 * accepted=TOTAL up=BYTES down=BYTES" One thread, one poll loop, one connection a slot. It ends
 * when its stdin ends or on SIGTERM. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { max_links = 512, max_controls = 8, chunk_size = 16384, max_chunks = 16 };

/* Bytes on their way; they may leave at `due`. */
struct chunk {
    int64_t due;
    size_t size, sent;
    char bytes[chunk_size];
};

/* One direction of a connection: read from one socket, written to the other. */
struct lane {
    struct chunk *chunks[max_chunks];
    int count;
    bool ended;    /* the reader saw EOF */
    bool shut;     /* and the writer was told */
    int64_t quota; /* bytes that may still be read, or -1 */
};

/* fd[0] is the client's, fd[1] the target's; lane[0] goes up (client to target), lane[1] down. */
struct link {
    bool used, connected;
    int fd[2];
    struct lane lane[2];
};

static struct link links[max_links];
static int controls[max_controls];
static bool stalled, refusing, quota_resets;
static int64_t delay_ms, quota = -1, accepted, moved[2];
static struct sockaddr_storage target;
static socklen_t target_length;

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void no_delay(int fd)
{
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

static void drop(struct link *l, bool reset)
{
    for (int i = 0; i < 2; i++) {
        if (reset && l->fd[i] >= 0)
            setsockopt(l->fd[i], SOL_SOCKET, SO_LINGER, &(struct linger){1, 0},
                       sizeof(struct linger));
        if (l->fd[i] >= 0)
            close(l->fd[i]);
        for (int c = 0; c < l->lane[i].count; c++)
            free(l->lane[i].chunks[c]);
    }
    *l = (struct link){.fd = {-1, -1}};
}

static void drop_all(bool reset)
{
    for (int i = 0; i < max_links; i++)
        if (links[i].used)
            drop(&links[i], reset);
}

static void set_quota(int64_t bytes, bool resets)
{
    quota = bytes;
    quota_resets = resets;
    for (int i = 0; i < max_links; i++)
        links[i].lane[1].quota = bytes;
}

static void accept_link(int listener)
{
    int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0)
        return;
    accepted++;
    struct link *l = NULL;
    for (int i = 0; !l && i < max_links; i++)
        if (!links[i].used)
            l = &links[i];
    int server = refusing || !l
                     ? -1
                     : socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server < 0) {
        close(client);
        return;
    }
    *l = (struct link){.used = true, .fd = {client, server}};
    l->lane[0].quota = -1;
    l->lane[1].quota = quota;
    if (target.ss_family != AF_UNIX) {
        no_delay(client);
        no_delay(server);
    }
    if (connect(server, (struct sockaddr *)&target, target_length) == 0)
        l->connected = true;
    else if (errno != EINPROGRESS)
        drop(l, true);
}

/* Reads one chunk into a lane. False when the connection failed. */
static bool take(struct link *l, int way)
{
    struct lane *lane = &l->lane[way];
    struct chunk *c = malloc(sizeof *c);
    if (!c)
        fail("malloc");
    size_t room = sizeof c->bytes;
    if (lane->quota >= 0 && (uint64_t)lane->quota < room)
        room = (size_t)lane->quota;
    ssize_t n = read(l->fd[way], c->bytes, room);
    if (n <= 0) {
        free(c);
        lane->ended = n == 0;
        return n == 0 || errno == EAGAIN || errno == EINTR;
    }
    c->due = now() + delay_ms;
    c->size = (size_t)n;
    c->sent = 0;
    if (lane->quota >= 0)
        lane->quota -= n;
    moved[way] += n;
    lane->chunks[lane->count++] = c;
    return true;
}

/* Writes what is due. False when the connection is over. */
static bool give(struct link *l, int way)
{
    struct lane *lane = &l->lane[way];
    int out = l->fd[1 - way];
    while (lane->count && lane->chunks[0]->due <= now()) {
        struct chunk *c = lane->chunks[0];
        ssize_t n = send(out, c->bytes + c->sent, c->size - c->sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        c->sent += (size_t)n;
        if (c->sent < c->size)
            return true;
        free(c);
        lane->count--;
        memmove(lane->chunks, lane->chunks + 1, (size_t)lane->count * sizeof(struct chunk *));
    }
    if (lane->ended && !lane->count && !lane->shut) {
        lane->shut = true;
        shutdown(out, SHUT_WR);
    }
    return true;
}

static bool may_read(const struct link *l, int way)
{
    const struct lane *lane = &l->lane[way];
    return l->connected && !stalled && !lane->ended && lane->count < max_chunks && lane->quota != 0;
}

static bool may_write(const struct link *l, int way)
{
    const struct lane *lane = &l->lane[way];
    return l->connected && !stalled && lane->count && lane->chunks[0]->due <= now();
}

/* Moves what can move, and ends what is over. */
static void serve(struct link *l, short client, short server)
{
    if (!l->connected) {
        int failed = 0;
        if (!(server & (POLLOUT | POLLERR | POLLHUP)))
            return;
        getsockopt(l->fd[1], SOL_SOCKET, SO_ERROR, &failed, &(socklen_t){sizeof failed});
        l->connected = failed == 0;
        if (failed)
            drop(l, true);
        return;
    }
    if (stalled)
        return;
    bool fine = true;
    if (fine && client & (POLLIN | POLLHUP | POLLERR) && may_read(l, 0))
        fine = take(l, 0);
    if (fine && server & (POLLIN | POLLHUP | POLLERR) && may_read(l, 1))
        fine = take(l, 1);
    fine = fine && give(l, 0) && give(l, 1);
    if (!fine)
        drop(l, true);
    else if (l->lane[1].quota == 0 && !l->lane[1].count)
        drop(l, quota_resets);
    else if (l->lane[0].shut && l->lane[1].shut)
        drop(l, false);
}

static void answer(char *line, char *reply, size_t size)
{
    char *word = line, *number = strchr(line, ' '), *end = line;
    if (number)
        *number++ = '\0';
    int64_t n = number ? strtoll(number, &end, 10) : -1;
    bool numbered = number && end != number && !*end && n >= 0;
    snprintf(reply, size, "ok\n");
    if (strcmp(word, "delay") == 0 && numbered)
        delay_ms = n;
    else if (strcmp(word, "truncate") == 0 && numbered)
        set_quota(n, false);
    else if (strcmp(word, "cut") == 0 && numbered)
        set_quota(n, true);
    else if (strcmp(word, "stall") == 0)
        stalled = true;
    else if (strcmp(word, "resume") == 0) {
        stalled = false;
        set_quota(-1, false);
    } else if (strcmp(word, "refuse") == 0)
        refusing = true;
    else if (strcmp(word, "accept") == 0)
        refusing = false;
    else if (strcmp(word, "close") == 0)
        drop_all(false);
    else if (strcmp(word, "reset") == 0)
        drop_all(true);
    else if (strcmp(word, "stats") == 0) {
        int open = 0;
        for (int i = 0; i < max_links; i++)
            open += links[i].used;
        snprintf(reply, size, "connections=%d accepted=%lld up=%lld down=%lld\n", open,
                 (long long)accepted, (long long)moved[0], (long long)moved[1]);
    } else
        snprintf(reply, size, "unknown command\n");
}

/* Commands are short: one read has whole lines. */
static void command(int *fd)
{
    char text[512], reply[160], *save = NULL;
    ssize_t n = read(*fd, text, sizeof text - 1);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            close(*fd);
            *fd = -1;
        }
        return;
    }
    text[n] = '\0';
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        answer(line, reply, sizeof reply);
        if (send(*fd, reply, strlen(reply), MSG_NOSIGNAL) < 0)
            return;
    }
}

static int listen_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 8) < 0)
        fail(path);
    return fd;
}

/* Fills `out` from "HOST:PORT" or ":PORT" or "PORT". */
static socklen_t resolve(const char *text, struct sockaddr_storage *out)
{
    char host[256];
    const char *colon = strrchr(text, ':');
    snprintf(host, sizeof host, "%.*s", colon ? (int)(colon - text) : 0, text);
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM};
    int failed = getaddrinfo(*host ? host : "127.0.0.1", colon ? colon + 1 : text, &hints, &found);
    if (failed) {
        fprintf(stderr, "proxy: %s: %s\n", text, gai_strerror(failed));
        exit(1);
    }
    socklen_t length = found->ai_addrlen;
    memcpy(out, found->ai_addr, length);
    freeaddrinfo(found);
    return length;
}

static int listen_tcp(const char *text)
{
    struct sockaddr_storage address;
    socklen_t length = resolve(text, &address);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 256) < 0)
        fail(text);
    struct sockaddr_in bound = {0};
    getsockname(fd, (struct sockaddr *)&bound, &(socklen_t){sizeof bound});
    printf("listening %d\n", ntohs(bound.sin_port));
    fflush(stdout);
    return fd;
}

/* Until the next chunk is due, or for ever. */
static int wait_ms(void)
{
    int64_t soonest = -1, t = now();
    for (int i = 0; i < max_links; i++)
        for (int way = 0; links[i].used && !stalled && way < 2; way++) {
            const struct lane *lane = &links[i].lane[way];
            int64_t left = lane->count ? lane->chunks[0]->due - t : -1;
            if (left > 0 && (soonest < 0 || left < soonest))
                soonest = left;
        }
    return (int)soonest;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: proxy [ADDRESS:]PORT HOST:PORT|PATH CONTROL\n");
        return 2;
    }
    if (strchr(argv[2], '/')) {
        struct sockaddr_un *address = (struct sockaddr_un *)&target;
        address->sun_family = AF_UNIX;
        snprintf(address->sun_path, sizeof address->sun_path, "%s", argv[2]);
        target_length = sizeof *address;
    } else
        target_length = resolve(argv[2], &target);
    for (int i = 0; i < max_links; i++)
        links[i] = (struct link){.fd = {-1, -1}};
    memset(controls, -1, sizeof controls);
    int control = listen_unix(argv[3]), listener = listen_tcp(argv[1]);

    static struct pollfd polled[3 + max_controls + 2 * max_links];
    for (;;) {
        polled[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        polled[1] = (struct pollfd){.fd = control, .events = POLLIN};
        polled[2] = (struct pollfd){.fd = 0, .events = POLLIN};
        for (int i = 0; i < max_controls; i++)
            polled[3 + i] = (struct pollfd){.fd = controls[i], .events = POLLIN};
        for (int i = 0; i < max_links; i++)
            for (int side = 0; side < 2; side++) {
                struct link *l = &links[i];
                int events =
                    (may_read(l, side) ? POLLIN : 0) | (may_write(l, 1 - side) ? POLLOUT : 0);
                if (!l->connected && side == 1)
                    events = POLLOUT;
                /* a socket that nothing is wanted of is left out: its POLLHUP would spin */
                polled[3 + max_controls + 2 * i + side] =
                    (struct pollfd){.fd = events ? l->fd[side] : -1, .events = (short)events};
            }
        if (poll(polled, sizeof polled / sizeof *polled, wait_ms()) < 0 && errno != EINTR)
            fail("poll");
        for (int i = 0; i < max_links; i++) {
            struct pollfd *p = &polled[3 + max_controls + 2 * i];
            if (links[i].used)
                serve(&links[i], p[0].revents, p[1].revents);
        }
        for (int i = 0; i < max_controls; i++)
            if (controls[i] >= 0 && polled[3 + i].revents)
                command(&controls[i]);
        if (polled[0].revents)
            accept_link(listener);
        if (polled[1].revents) {
            int fd = accept4(control, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), i = 0;
            while (i < max_controls && controls[i] >= 0)
                i++;
            if (i < max_controls)
                controls[i] = fd;
            else
                close(fd);
        }
        char ignored[64];
        if (polled[2].revents && read(0, ignored, sizeof ignored) <= 0) {
            unlink(argv[3]);
            return 0;
        }
    }
}
