/* The peer that everything over SSH is measured against: libssh2 alone, one blocking call after the
 * other, no event loop, no checks.
 *     ssh_bare warm  PORT USER KEY N LINE    N commands on one connection
 *     ssh_bare fresh PORT USER KEY N LINE    one command on each of N connections, 127.0.0.1 up */
#include "core/base/alloc.h"
#include "core/base/local.h"
#include "executors/ssh/login/key.h"
#include "executors/ssh/wire/lib.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct tx_key *key;

static int fail(const char *what)
{
    fprintf(stderr, "ssh_bare: %s\n", what);
    exit(1);
}

static int sign(LIBSSH2_SESSION *session, unsigned char **signature, size_t *length,
                const unsigned char *data, size_t data_length, void **abstract)
{
    (void)session;
    (void)abstract;
    struct tt_buf made = {0};
    if (tx_key_sign(key, data, data_length, &made, NULL) < 0)
        return -1;
    *length = made.length;
    *signature = (unsigned char *)tt_buf_take(&made);
    return 0;
}

static LIBSSH2_SESSION *log_in(int port, int number, const char *user, int *fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(0x7f000001u + (unsigned)number)};
    int yes = 1;
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(*fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("no connection");
    LIBSSH2_SESSION *session = tx_ssh2.session_init_ex(NULL, NULL, NULL, NULL);
    tx_ssh2.session_set_blocking(session, 1);
    if (tx_ssh2.session_handshake(session, *fd) != 0)
        fail("no handshake");
    struct tt_buf offer = {0};
    void *abstract = NULL;
    tx_key_offer(tx_key_blob(key), &offer);
    if (tx_ssh2.userauth_publickey(session, user, (const unsigned char *)offer.data, offer.length,
                                   sign, &abstract) != 0)
        fail("not let in");
    tt_buf_free(&offer);
    return session;
}

static void run(LIBSSH2_SESSION *session, const char *line)
{
    char buffer[4096];
    LIBSSH2_CHANNEL *channel =
        tx_ssh2.channel_open_ex(session, "session", 7, 2 << 20, 32768, NULL, 0);
    if (!channel ||
        tx_ssh2.channel_process_startup(channel, "exec", 4, line, (unsigned)strlen(line)) != 0)
        fail("no command");
    tx_ssh2.channel_send_eof(channel);
    while (tx_ssh2.channel_read_ex(channel, 0, buffer, sizeof buffer) > 0)
        continue;
    while (tx_ssh2.channel_read_ex(channel, 1, buffer, sizeof buffer) > 0)
        continue;
    tx_ssh2.channel_wait_closed(channel);
    if (tx_ssh2.channel_get_exit_status(channel) != 0)
        fail("the command failed");
    tx_ssh2.channel_free(channel);
}

int main(int argc, char **argv)
{
    struct tt_error *err = NULL;
    struct tt_buf text = {0};
    enum tx_key_trouble trouble;
    if (argc != 7)
        fail("usage: ssh_bare warm|fresh PORT USER KEY N LINE");
    if (tx_ssh_load(&err) < 0 || tt_read_whole(argv[4], 1 << 20, &text, &err) < 0 ||
        tx_key_read(&key, text.data, text.length, NULL, &trouble, &err) < 0)
        fail(tt_error_text(err));
    int port = atoi(argv[2]), n = atoi(argv[5]), fd;
    if (strcmp(argv[1], "warm") == 0) {
        LIBSSH2_SESSION *session = log_in(port, 0, argv[3], &fd);
        for (int i = 0; i < n; i++)
            run(session, argv[6]);
        return 0;
    }
    for (int i = 0; i < n; i++) {
        LIBSSH2_SESSION *session = log_in(port, i, argv[3], &fd);
        run(session, argv[6]);
        tx_ssh2.session_disconnect_ex(session, SSH_DISCONNECT_BY_APPLICATION, "done", "");
        tx_ssh2.session_free(session);
        close(fd);
    }
    return 0;
}
