#include "executors/ssh/login/keyfiles.h"

#include "core/base/alloc.h"
#include "core/base/base64.h"
#include "core/base/local.h"
#include "executors/ssh/wire/pack.h"

#include <stdlib.h>
#include <string.h>

enum { max_key_file = 1 << 20 };

struct reading {
    struct tx_keyfiles files;
    struct tx_texts certificates;
    char *passphrase;
};

/* "ssh-ed25519 AAAA… comment" */
static void read_public(const char *private_path, const char *suffix, struct tt_buf *blob)
{
    char *path = tt_format("%s%s", private_path, suffix);
    struct tt_buf text = {0};
    if (tt_read_whole(path, max_key_file, &text, NULL) == 0 && text.length) {
        const char *end = text.data + text.length;
        const char *start = memchr(text.data, ' ', text.length);
        if (start) {
            start++;
            size_t length = strcspn(start, " \n\r");
            if (start + length <= end && !tt_base64_read(blob, start, length))
                tt_buf_free(blob);
        }
    }
    tt_buf_free(&text);
    free(path);
}

static void read_one(struct tx_keyfile *file, const char *passphrase)
{
    struct tt_buf text = {0};
    enum tx_key_trouble trouble;
    int rc = tt_read_whole(file->path, max_key_file, &text, &file->why);
    if (rc == -TT_NOT_FOUND) {
        file->missing = true;
    } else if (rc == 0) {
        tx_key_read(&file->key, text.data ? text.data : "", text.length, passphrase, &trouble,
                    &file->why);
    }
    if (text.data)
        explicit_bzero(text.data, text.length);
    tt_buf_free(&text);
    if (file->key)
        tt_buf_add(&file->public, tx_key_blob(file->key)->data, tx_key_blob(file->key)->length);
    else
        read_public(file->path, ".pub", &file->public);
    if (file->key)
        read_public(file->path, "-cert.pub", &file->cert);
}

/* A certificate has its key's fields behind its own type and nonce. */
static bool certifies(const struct tt_buf *cert, const struct tt_buf *key)
{
    struct tx_cursor of_cert = tx_cursor(cert->data, cert->length);
    struct tx_cursor of_key = tx_cursor(key->data, key->length);
    tx_get_string(&of_cert);
    tx_get_string(&of_cert);
    tx_get_string(&of_key);
    return !of_cert.bad && !of_key.bad && of_key.left && of_cert.left > of_key.left &&
           memcmp(of_cert.at, of_key.at, of_key.left) == 0;
}

static void read_certificate(const struct tx_keyfiles *files, const char *path)
{
    struct tt_buf cert = {0};
    read_public(path, "", &cert);
    for (size_t i = 0; i < files->count; i++) {
        struct tx_keyfile *file = &files->items[i];
        if (!cert.length || !file->key || !certifies(&cert, &file->public))
            continue;
        tt_buf_free(&file->cert);
        file->cert = cert;
        return;
    }
    tt_buf_free(&cert);
}

static int work(void *arg, struct tt_error **err)
{
    (void)err;
    struct reading *reading = arg;
    for (size_t i = 0; i < reading->files.count; i++)
        read_one(&reading->files.items[i], reading->passphrase);
    for (size_t i = 0; i < reading->certificates.count; i++)
        read_certificate(&reading->files, reading->certificates.items[i]);
    return 0;
}

static void drop(void *arg)
{
    struct reading *reading = arg;
    for (size_t i = 0; i < reading->files.count; i++) {
        struct tx_keyfile *file = &reading->files.items[i];
        free(file->path);
        tx_key_free(file->key);
        tt_error_free(file->why);
        tt_buf_free(&file->public);
        tt_buf_free(&file->cert);
    }
    free(reading->files.items);
    tx_texts_clear(&reading->certificates);
    if (reading->passphrase)
        explicit_bzero(reading->passphrase, strlen(reading->passphrase));
    free(reading->passphrase);
    free(reading);
}

struct tt_op *tx_keyfiles_read(struct tt_scope *scope, const struct tx_texts *paths,
                               const struct tx_texts *certificates, const char *passphrase)
{
    struct reading *reading = tt_zalloc(sizeof *reading);
    reading->passphrase = passphrase ? tt_strdup(passphrase) : NULL;
    reading->files.count = paths->count;
    if (paths->count)
        reading->files.items = tt_zalloc(paths->count * sizeof *reading->files.items);
    for (size_t i = 0; i < paths->count; i++)
        reading->files.items[i].path = tt_strdup(paths->items[i]);
    for (size_t i = 0; i < certificates->count; i++)
        tx_texts_add(&reading->certificates, certificates->items[i]);
    return tt_work(scope, "reading keys", work, reading, drop);
}

struct tx_keyfiles *tx_keyfiles_of(struct tt_op *op)
{
    return &((struct reading *)tt_work_arg(op))->files;
}
