#include "executors/ssh/config/destination.h"

#include "core/base/alloc.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool is_name(const char *text, size_t length)
{
    if (!length || *text == '-')
        return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == 127 || strchr("'\"`$\\;&<>|(){}", text[i]))
            return false;
    return true;
}

bool tx_ssh_is_name(const char *text)
{
    return is_name(text, strlen(text));
}

static int bad(struct tx_ssh_destination *d, const char *text, const char *what,
               struct tt_error **err)
{
    tx_ssh_destination_clear(d);
    return tt_fail(err, TT_INVALID, "\"%s\" is no ssh destination: %s", text, what);
}

static int read_port(const char *text)
{
    long port = 0;
    if (!*text || strlen(text) > 5)
        return 0;
    for (; *text; text++) {
        if (!isdigit((unsigned char)*text))
            return 0;
        port = port * 10 + (*text - '0');
    }
    return port <= 65535 ? (int)port : 0;
}

int tx_ssh_parse(struct tx_ssh_destination *d, const char *text, struct tt_error **err)
{
    *d = (struct tx_ssh_destination){0};
    const char *at = text, *port = NULL;
    if (strncmp(at, "ssh://", 6) == 0)
        at += 6;
    const char *sign = strrchr(at, '@');
    if (sign) {
        if (!is_name(at, (size_t)(sign - at)))
            return bad(d, text, "the user's name", err);
        d->user = tt_strndup(at, (size_t)(sign - at));
        at = sign + 1;
    }
    const char *end = at + strlen(at);
    if (end > at && end[-1] == '/' && strncmp(text, "ssh://", 6) == 0)
        end--;
    if (*at == '[') {
        const char *close = memchr(at, ']', (size_t)(end - at));
        if (!close || (close + 1 < end && close[1] != ':'))
            return bad(d, text, "the brackets", err);
        if (close + 1 < end)
            port = close + 2;
        d->host = tt_strndup(at + 1, (size_t)(close - at - 1));
    } else {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        /* an IPv6 address without brackets has no port */
        if (colon && !memchr(colon + 1, ':', (size_t)(end - colon - 1)))
            port = colon + 1;
        d->host = tt_strndup(at, (size_t)((port ? port - 1 : end) - at));
    }
    if (!is_name(d->host, strlen(d->host)))
        return bad(d, text, "the host's name", err);
    if (port) {
        char *digits = tt_strndup(port, (size_t)(end - port));
        d->port = read_port(digits);
        free(digits);
        if (!d->port)
            return bad(d, text, "the port", err);
    }
    return 0;
}

void tx_ssh_destination_clear(struct tx_ssh_destination *d)
{
    free(d->user);
    free(d->host);
    *d = (struct tx_ssh_destination){0};
}
