/* A small HTTP client: get PORT PATH
 *
 * Prints the body of http://127.0.0.1:PORT/PATH; code 0 for a 200, 1 for any other answer or none.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: get PORT PATH\n");
        return 2;
    }
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((unsigned short)strtoul(argv[1], NULL, 10)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int server = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(server, (struct sockaddr *)&address, sizeof address) < 0) {
        fprintf(stderr, "nobody answers on port %s\n", argv[1]);
        return 1;
    }
    dprintf(server, "GET %s HTTP/1.0\r\n\r\n", argv[2]);
    char reply[8192];
    size_t length = 0;
    for (ssize_t got; length < sizeof reply - 1; length += (size_t)got)
        if ((got = read(server, reply + length, sizeof reply - 1 - length)) <= 0)
            break;
    reply[length] = 0;
    char *body = strstr(reply, "\r\n\r\n");
    if (body)
        fputs(body + 4, stdout);
    return strncmp(reply, "HTTP/1.0 200 ", 13) == 0 ? 0 : 1;
}
