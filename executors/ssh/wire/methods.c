#include "executors/ssh/wire/methods.h"

#include <string.h>

static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; at && *at;) {
        size_t span = strcspn(at, ",");
        if (span == length && memcmp(at, word, length) == 0)
            return true;
        at += span;
        at += *at == ',';
    }
    return false;
}

void tx_methods_begin(struct tx_methods *methods, struct tx_session *session, int kind)
{
    *methods = (struct tx_methods){.session = session, .kind = kind};
    methods->count =
        tx_ssh2.session_supported_algs(tx_session_raw(session), kind, &methods->supported);
}

/* libssh2 1.10 damages a list when it takes out what it does not know: nothing of that goes in. */
void tx_methods_prefer(struct tx_methods *methods, const char *name)
{
    bool known = false;
    for (int i = 0; i < methods->count; i++)
        known |= strcmp(methods->supported[i], name) == 0;
    if (!known || has_word(methods->list.data, name))
        return;
    if (methods->list.length)
        tt_buf_text(&methods->list, ",");
    tt_buf_text(&methods->list, name);
}

int tx_methods_offer(struct tx_methods *methods, struct tt_error **err)
{
    LIBSSH2_SESSION *raw = tx_session_raw(methods->session);
    for (int i = 0; i < methods->count; i++)
        tx_methods_prefer(methods, methods->supported[i]);
    const char *list = methods->list.data ? methods->list.data : "";
    int rc = TX_SSH2("ssh_methods.offer", tx_ssh2.session_method_pref(raw, methods->kind, list));
    if (methods->supported)
        tx_ssh2.free(raw, methods->supported);
    tt_buf_free(&methods->list);
    return rc == 0 ? 0
                   : tt_fail(err, TT_IO, "libssh2 takes no preference: %s",
                             tx_session_text(methods->session));
}

int tx_ciphers_prefer(struct tx_session *session, struct tt_error **err)
{
    static const char *const best[] = {"aes128-ctr", "aes192-ctr", "aes256-ctr"};
    static const int ways[] = {LIBSSH2_METHOD_CRYPT_CS, LIBSSH2_METHOD_CRYPT_SC};
    int rc = 0;
    for (size_t way = 0; rc == 0 && way < sizeof ways / sizeof *ways; way++) {
        struct tx_methods ciphers;
        tx_methods_begin(&ciphers, session, ways[way]);
        for (size_t i = 0; i < sizeof best / sizeof *best; i++)
            tx_methods_prefer(&ciphers, best[i]);
        rc = tx_methods_offer(&ciphers, err);
    }
    return rc;
}
