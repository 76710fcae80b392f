#include "executors/ssh/login/hostkey.h"

#include "core/base/alloc.h"
#include "core/base/local.h"
#include "executors/ssh/login/key.h"
#include "executors/ssh/wire/methods.h"
#include "executors/ssh/wire/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { max_known_hosts = 64 << 20 };

static bool hmac_sha1(const unsigned char *salt, size_t salt_length, const char *name,
                      unsigned char digest[20])
{
    unsigned length = 0;
    return tx_crypto.HMAC(tx_crypto.EVP_sha1(), salt, (int)salt_length, (const unsigned char *)name,
                          strlen(name), digest, &length) &&
           length == 20;
}

/* --- reading the files --- */

struct loading {
    struct tx_texts files;
    char *names[2]; /* with the port, and the bare name that ssh falls back to */
    struct tx_known_keys keys, bare;
};

static int read_file(struct loading *l, const char *path, struct tt_error **err)
{
    struct tt_buf text = {0};
    int rc = tt_read_whole(path, max_known_hosts, &text, err);
    if (rc < 0 && err && *err && (*err)->errnum == ENOENT) {
        tt_error_free(*err);
        *err = NULL;
        rc = 0;
    } else if (rc < 0) {
        if (err && *err)
            (*err)->kind = TT_HOST_KEY;
    } else if (text.length) {
        const char *name = l->names[0], *bare = l->names[1];
        tx_known_read(&l->keys, text.data, text.length, path, &name, 1, hmac_sha1);
        if (bare)
            tx_known_read(&l->bare, text.data, text.length, path, &bare, 1, hmac_sha1);
    }
    tt_buf_free(&text);
    return rc;
}

static int load(void *arg, struct tt_error **err)
{
    struct loading *l = arg;
    int rc = 0;
    for (size_t i = 0; i < l->files.count && rc == 0; i++)
        rc = read_file(l, l->files.items[i], err);
    /* as ssh does: a host on another port may be known by its bare name alone */
    if (!l->keys.count) {
        struct tx_known_keys swap = l->keys;
        l->keys = l->bare;
        l->bare = swap;
    }
    return rc;
}

static void drop_loading(void *arg)
{
    struct loading *l = arg;
    tx_texts_clear(&l->files);
    free(l->names[0]);
    free(l->names[1]);
    tx_known_clear(&l->keys);
    tx_known_clear(&l->bare);
    free(l);
}

static char *name_of(const struct tx_ssh_settings *settings)
{
    return settings->key_alias ? tx_known_name(settings->key_alias, 22)
                               : tx_known_name(settings->host, settings->port);
}

static struct loading *loading_new(const struct tx_ssh_settings *settings)
{
    struct loading *l = tt_zalloc(sizeof *l);
    for (size_t i = 0; i < settings->known_hosts.count; i++)
        tx_texts_add(&l->files, settings->known_hosts.items[i]);
    l->names[0] = name_of(settings);
    if (!settings->key_alias && settings->port != 22)
        l->names[1] = tx_known_name(settings->host, 22);
    return l;
}

struct tt_op *tx_known_load(struct tt_scope *scope, const struct tx_ssh_settings *settings)
{
    return tt_work(scope, "reading known_hosts", load, loading_new(settings), drop_loading);
}

const struct tx_known_keys *tx_known_of(struct tt_op *op)
{
    return &((struct loading *)tt_work_arg(op))->keys;
}

/* --- the handshake's preference --- */

int tx_hostkey_prefer(struct tx_session *session, const struct tx_known_keys *known,
                      struct tt_error **err)
{
    struct tx_methods keys;
    tx_methods_begin(&keys, session, LIBSSH2_METHOD_HOSTKEY);
    for (size_t i = 0; i < known->count; i++) {
        if (known->items[i].marker != TX_KNOWN_HOST)
            continue;
        /* an RSA key signs in three ways, of which a library may know some */
        if (strcmp(known->items[i].type, "ssh-rsa") == 0) {
            tx_methods_prefer(&keys, "rsa-sha2-512");
            tx_methods_prefer(&keys, "rsa-sha2-256");
        }
        tx_methods_prefer(&keys, known->items[i].type);
    }
    tx_methods_prefer(&keys, "ssh-ed25519");
    return tx_methods_offer(&keys, err);
}

/* --- judging --- */

struct shown {
    const unsigned char *key;
    size_t length;
    char type[64];
};

static bool shown_key(struct tx_session *session, struct shown *shown)
{
    int kind;
    shown->key = (const unsigned char *)tx_ssh2.session_hostkey(tx_session_raw(session),
                                                                &shown->length, &kind);
    if (!shown->key)
        return false;
    struct tx_cursor cursor = tx_cursor(shown->key, shown->length);
    struct tx_span type = tx_get_string(&cursor);
    if (cursor.bad || type.length >= sizeof shown->type)
        return false;
    memcpy(shown->type, type.bytes, type.length);
    shown->type[type.length] = '\0';
    return true;
}

static int judge(const struct tx_known_keys *known, const struct shown *shown, const char *name,
                 bool accept_new, struct tt_error **err)
{
    const struct tx_known_key *which;
    char *now = tx_key_fingerprint(shown->key, shown->length), *before = NULL;
    int rc = 0;
    switch (tx_known_check(known, shown->type, shown->key, shown->length, &which)) {
    case TX_KNOWN_MATCH:
        break;
    case TX_KNOWN_IS_REVOKED:
        rc = tt_fail(err, TT_HOST_KEY, "the key of %s (%s %s) is revoked: %s:%d", name, shown->type,
                     now, which->file, which->line);
        break;
    case TX_KNOWN_CHANGED:
        before = tx_key_fingerprint(which->key.data, which->key.length);
        rc = tt_fail(err, TT_HOST_KEY,
                     "the key of %s changed: it shows %s %s, but %s:%d says %s %s; somebody may be "
                     "listening in, or the host was set up anew",
                     name, shown->type, now, which->file, which->line, which->type, before);
        break;
    case TX_KNOWN_NONE:
        if (accept_new) {
            rc = 1;
        } else {
            bool authority = false;
            for (size_t i = 0; i < known->count; i++)
                authority |= known->items[i].marker == TX_KNOWN_AUTHORITY;
            rc = tt_fail(
                err, TT_HOST_KEY,
                "%s is not known: it shows %s %s%s; add its key to known_hosts, or have new "
                "hosts remembered: host_key = \"accept-new\", or StrictHostKeyChecking "
                "accept-new in ~/.ssh/config",
                name, shown->type, now,
                authority ? ", and host certificates cannot be checked here" : "");
        }
        break;
    }
    free(now);
    free(before);
    return rc;
}

int tx_hostkey_check(struct tx_session *session, const struct tx_known_keys *known,
                     const struct tx_ssh_settings *settings, struct tt_error **err)
{
    struct shown shown;
    if (TT_FAULT("ssh_hostkey.shown") || !shown_key(session, &shown))
        return tt_fail(err, TT_HOST_KEY, "%s showed no key that can be read", settings->host);
    char *name = name_of(settings);
    int rc = judge(known, &shown, name, settings->policy == TX_HOST_KEY_ACCEPT_NEW, err);
    free(name);
    return rc;
}

/* --- remembering --- */

struct remembering {
    struct loading *loading; /* everything is judged again under the lock */
    struct tt_buf key;
    char type[64];
    bool hash;
};

static int append(const struct remembering *r, int fd, const char *path, struct tt_error **err)
{
    unsigned char salt[20]; /* not the loop's numbers: nobody may guess it, and this is a thread */
    if (r->hash && tx_crypto.RAND_bytes(salt, sizeof salt) != 1)
        return tt_fail(err, TT_HOST_KEY, "libcrypto has no random numbers");
    char *line = tx_known_line(r->loading->names[0], r->type, r->key.data, r->key.length,
                               r->hash ? salt : NULL, hmac_sha1);
    if (!line)
        return tt_fail(err, TT_HOST_KEY, "libcrypto could not hash the host's name");
    /* a last line without its end must not swallow ours */
    struct stat st;
    char last = '\n';
    if (fstat(fd, &st) == 0 && st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1)
        last = '\n';
    struct tt_buf text = {0};
    tt_buf_format(&text, "%s%s", last == '\n' ? "" : "\n", line);
    ssize_t n = TT_FAULT("ssh_hostkey.write") ? -1 : write(fd, text.data, text.length);
    int rc = n == (ssize_t)text.length
                 ? 0
                 : tt_fail(err, TT_HOST_KEY, "the host's key could not be written to %s: %s", path,
                           strerror(n < 0 ? errno : ENOSPC));
    tt_buf_free(&text);
    free(line);
    return rc;
}

static int make_folder(const char *path)
{
    char *folder = tt_strdup(path);
    char *slash = strrchr(folder, '/');
    int rc = 0;
    if (slash && slash != folder) {
        *slash = '\0';
        rc = mkdir(folder, 0700) < 0 && errno != EEXIST ? -errno : 0;
    }
    free(folder);
    return rc;
}

static int remember(void *arg, struct tt_error **err)
{
    struct remembering *r = arg;
    if (!r->loading->files.count)
        return tt_fail(err, TT_HOST_KEY, "there is no known_hosts file to remember the key in");
    const char *path = r->loading->files.items[0];
    make_folder(path);
    int fd = TT_FAULT("ssh_hostkey.open")
                 ? -1
                 : open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) < 0) {
        int errnum = errno;
        if (fd >= 0)
            close(fd);
        return tt_fail(err, TT_HOST_KEY, "the host's key could not be written to %s: %s", path,
                       strerror(errnum));
    }
    int rc = load(r->loading, err);
    struct shown shown = {.key = (unsigned char *)r->key.data, .length = r->key.length};
    memcpy(shown.type, r->type, sizeof shown.type);
    if (rc == 0)
        rc = judge(&r->loading->keys, &shown, r->loading->names[0], true, err);
    if (rc == 1)
        rc = append(r, fd, path, err);
    close(fd);
    return rc;
}

static void drop_remembering(void *arg)
{
    struct remembering *r = arg;
    drop_loading(r->loading);
    tt_buf_free(&r->key);
    free(r);
}

struct tt_op *tx_hostkey_remember(struct tt_scope *scope, struct tx_session *session,
                                  const struct tx_ssh_settings *settings)
{
    struct shown shown;
    struct remembering *r = tt_zalloc(sizeof *r);
    r->loading = loading_new(settings);
    r->hash = settings->hash_known_hosts;
    if (shown_key(session, &shown)) {
        tt_buf_add(&r->key, shown.key, shown.length);
        memcpy(r->type, shown.type, sizeof shown.type);
    }
    return tt_work(scope, "remembering a host", remember, r, drop_remembering);
}
