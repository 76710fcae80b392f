/* A small HTTP server to deploy: greeter PORT-FILE
 *
 * Listens on a free loopback port, writes the port to PORT-FILE, and answers
 *   GET /health          200 "ok"
 *   GET /version         200 the version that it was built as
 *   GET /greet?NAME      200 "hello, NAME"
 * one connection at a time, until TERM. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef GREETING
#define GREETING "hello"
#endif
#ifndef VERSION
#define VERSION "unknown"
#endif

static void answer(int client, int status, const char *body)
{
    dprintf(client, "HTTP/1.0 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s",
            status, status == 200 ? "OK" : "Not Found", strlen(body), body);
}

static void serve(int client)
{
    char request[2048];
    size_t length = 0;
    while (length < sizeof request - 1) {
        ssize_t got = read(client, request + length, sizeof request - 1 - length);
        if (got <= 0)
            return;
        length += (size_t)got;
        request[length] = 0;
        if (strstr(request, "\r\n\r\n"))
            break;
    }
    request[strcspn(request, "\r\n")] = 0;
    char *path = strchr(request, ' ');
    if (strncmp(request, "GET ", 4) != 0 || !path)
        return;
    path++;
    path[strcspn(path, " ")] = 0;
    if (strcmp(path, "/health") == 0) {
        answer(client, 200, "ok\n");
    } else if (strcmp(path, "/version") == 0) {
        answer(client, 200, VERSION "\n");
    } else if (strncmp(path, "/greet?", 7) == 0) {
        char body[2100];
        snprintf(body, sizeof body, "%s, %s\n", GREETING, path + 7);
        answer(client, 200, body);
    } else {
        answer(client, 404, "no such page\n");
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (argc != 2 || listener < 0 || bind(listener, (struct sockaddr *)&address, size) < 0 ||
        listen(listener, 16) < 0 || getsockname(listener, (struct sockaddr *)&address, &size) < 0) {
        fprintf(stderr, "usage: greeter PORT-FILE\n");
        return 2;
    }
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.new", argv[1]);
    FILE *out = fopen(temporary, "w");
    if (!out || fprintf(out, "%d\n", ntohs(address.sin_port)) < 0 || fclose(out) != 0 ||
        rename(temporary, argv[1]) < 0) {
        perror(argv[1]);
        return 1;
    }
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0)
            continue;
        serve(client);
        close(client);
    }
}
