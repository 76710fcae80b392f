#include "executors/ssh/login/auth.h"

#include "core/base/alloc.h"
#include "core/base/owner.h"
#include "executors/ssh/login/agent.h"
#include "executors/ssh/login/keyfiles.h"
#include "executors/ssh/wire/pack.h"

#include <stdlib.h>
#include <string.h>

/* A key to try. */
struct candidate {
    const struct tx_key *key;  /* of a file; NULL: the agent's */
    const struct tt_buf *blob; /* what the agent knows it by */
    struct tt_buf offer;
    char *name; /* for the error */
};

enum state { GATHERING, TRYING_KEYS, RELISTING, TRYING_KEYBOARD, TRYING_PASSWORD };

struct auth {
    struct tt_op op;
    struct tx_session *session; /* held */
    const struct tx_ssh_settings *settings;
    struct tx_waiter waiter;
    enum state state;
    bool listed;   /* the server told its methods, or is not asked yet */
    char *methods; /* comma-separated; NULL: not told */
    struct tt_op *files_op, *agent_op, *sign_op;
    struct tx_agent_keys agent_keys;
    struct candidate *candidates;
    size_t count, at;
    struct tt_buf signature;
    enum { UNSIGNED, SIGNED, SIGN_FAILED } signing;
    bool answered; /* the password was given to a prompt */
    struct tt_buf tried;
};

static void step(struct auth *a);

/* --- life --- */

static void finish(struct auth *a, struct tt_error *err)
{
    tx_session_unwait(a->session, &a->waiter);
    tt_op_drop(&a->sign_op, err);
    tt_op_drop(&a->agent_op, err);
    /* the files' operation owns keys that candidates use: it goes with us */
    if (a->files_op)
        tt_op_unawait(a->files_op);
    tt_op_finish(&a->op, err);
}

static void auth_cancel(struct tt_op *op, const struct tt_error *why)
{
    struct auth *a = (struct auth *)(void *)op;
    if (a->files_op)
        tt_op_cancel(a->files_op, why);
    finish(a, tt_error_copy(why));
}

static void auth_free(struct tt_op *op)
{
    struct auth *a = (struct auth *)(void *)op;
    for (size_t i = 0; i < a->count; i++) {
        tt_buf_free(&a->candidates[i].offer);
        free(a->candidates[i].name);
    }
    free(a->candidates);
    tx_agent_keys_clear(&a->agent_keys);
    tt_buf_free(&a->signature);
    tt_buf_free(&a->tried);
    free(a->methods);
    tt_op_release(a->files_op);
    tx_session_release(a->session);
    free(a);
}

static void tried(struct auth *a, const char *what, const char *result)
{
    tt_buf_format(&a->tried, "%s%s (%s)", a->tried.length ? ", " : "", what, result);
}

static void refuse(struct auth *a)
{
    struct tt_error *err = NULL;
    tt_fail(&err, TT_AUTH, "%s does not let %s in; tried: %s; it accepts: %s", a->settings->host,
            a->settings->user, a->tried.length ? a->tried.data : "nothing",
            a->methods && *a->methods ? a->methods : "nothing that it told");
    finish(a, err);
}

/* The session broke, or a call failed in a way that has nothing to do with the key. */
static bool broke(struct auth *a, int rc)
{
    if (!tx_session_why(a->session) && !tx_session_failed(a->session, rc, "logging in"))
        return false;
    const struct tt_error *why = tx_session_why(a->session);
    struct tt_error *err = tt_error_copy(why);
    /* a server that hangs up on too many attempts means "no" */
    if (a->tried.length)
        tt_fail(&err, TT_AUTH, "%s ended the connection while %s logged in; tried: %s",
                a->settings->host, a->settings->user, a->tried.data);
    else
        tt_fail(&err, TT_CONNECT, "cannot log in to %s", a->settings->host);
    finish(a, err);
    return true;
}

static bool accepts(const struct auth *a, const char *method)
{
    size_t length = strlen(method);
    for (const char *at = a->methods; at && *at;) {
        size_t word = strcspn(at, ",");
        if (word == length && memcmp(at, method, length) == 0)
            return true;
        at += word;
        at += *at == ',';
    }
    return false;
}

/* --- what can be tried --- */

static struct candidate *add_candidate(struct auth *a, const struct tt_buf *blob, char *name)
{
    a->candidates = tt_reallocarray(a->candidates, a->count + 1, sizeof *a->candidates);
    struct candidate *c = &a->candidates[a->count++];
    *c = (struct candidate){.blob = blob, .name = name};
    tx_key_offer(blob, &c->offer);
    return c;
}

static bool equal(const struct tt_buf *a, const struct tt_buf *b)
{
    return a->length == b->length && a->length && memcmp(a->data, b->data, a->length) == 0;
}

/* libssh2 1.10 can put only ecdsa certificates into a signature. */
static void add_certificate(struct auth *a, const struct tx_keyfile *file)
{
    if (!file->cert.length)
        return;
    if (strncmp(tx_key_type(file->key), "ecdsa", 5) == 0) {
        add_candidate(a, &file->cert, tt_format("certificate of %s", file->path))->key = file->key;
    } else {
        char *name = tt_format("certificate of %s", file->path);
        tried(a, name, "not possible: only ecdsa certificates are");
        free(name);
    }
}

static void add_files(struct auth *a, const struct tx_keyfiles *files)
{
    for (size_t i = 0; i < files->count; i++) {
        const struct tx_keyfile *file = &files->items[i];
        if (file->key) {
            add_certificate(a, file);
            add_candidate(a, &file->public, tt_format("key %s", file->path))->key = file->key;
        } else if (!file->missing || a->settings->keys_given) {
            char *why = tt_error_text(file->why);
            char *name = tt_format("key %s", file->path);
            tried(a, name, why);
            free(name);
            free(why);
        }
    }
}

/* A key that a file gives is not asked of the agent, too, and an identity limits the agent. */
static bool wants_agents(const struct auth *a, const struct tx_keyfiles *files,
                         const struct tt_buf *blob)
{
    bool named = false;
    for (size_t i = 0; i < files->count; i++) {
        if (equal(&files->items[i].public, blob)) {
            if (files->items[i].key && a->settings->keys_given)
                return false;
            named = true;
        }
    }
    return named || !a->settings->identities_only;
}

static bool can_sign(const struct tt_buf *blob)
{
    struct tx_cursor cursor = tx_cursor(blob->data, blob->length);
    struct tx_span type = tx_get_string(&cursor);
    static const char *const types[] = {"ssh-ed25519",
                                        "ssh-rsa",
                                        "ecdsa-sha2-nistp256",
                                        "ecdsa-sha2-nistp384",
                                        "ecdsa-sha2-nistp521",
                                        "ecdsa-sha2-nistp256-cert-v01@openssh.com",
                                        "ecdsa-sha2-nistp384-cert-v01@openssh.com",
                                        "ecdsa-sha2-nistp521-cert-v01@openssh.com"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (tx_span_is(type, types[i]))
            return true;
    return false;
}

static void add_agents(struct auth *a, const struct tx_keyfiles *files)
{
    for (size_t i = 0; i < a->agent_keys.count; i++) {
        const struct tx_agent_key *key = &a->agent_keys.items[i];
        if (!wants_agents(a, files, &key->blob))
            continue;
        char *name = tt_format("agent's key %s", key->comment);
        if (can_sign(&key->blob)) {
            add_candidate(a, &key->blob, name);
        } else {
            tried(a, name, "a kind that is not supported");
            free(name);
        }
    }
}

/* Nobody gave a key, and the usual places have none: says where was looked. */
static void explain_nothing(struct auth *a, const struct tx_keyfiles *files)
{
    for (size_t i = 0; i < files->count; i++) {
        char *name = tt_format("key %s", files->items[i].path);
        tried(a, name, "no such file");
        free(name);
    }
    tried(a, "agent", a->settings->agent ? "has no keys" : "there is none");
}

static void gather(struct auth *a)
{
    const struct tx_keyfiles *files = tx_keyfiles_of(a->files_op);
    if (a->settings->keys_given)
        add_files(a, files);
    add_agents(a, files);
    if (!a->settings->keys_given)
        add_files(a, files);
    if (!a->count && !a->tried.length && !a->settings->password)
        explain_nothing(a, files);
}

/* --- signing --- */

static void on_agent_signed(struct tt_op *op, void *arg)
{
    struct auth *a = arg;
    a->signing = SIGN_FAILED;
    if (!op->error && tx_agent_read_signature(tt_bytes_of(op), &a->signature, NULL) == 0)
        a->signing = SIGNED;
    a->sign_op = NULL;
    tt_op_release(op);
    step(a);
}

static int give_signature(struct auth *a, unsigned char **signature, size_t *length)
{
    *signature = malloc(a->signature.length ? a->signature.length : 1); /* libssh2 frees it */
    if (!*signature)
        return -1;
    memcpy(*signature, a->signature.data, a->signature.length);
    *length = a->signature.length;
    return 0;
}

static int on_sign(LIBSSH2_SESSION *raw, unsigned char **signature, size_t *length,
                   const unsigned char *data, size_t data_length, void **abstract)
{
    (void)raw;
    struct auth *a = *abstract;
    const struct candidate *c = &a->candidates[a->at];
    if (c->key && tx_key_sign(c->key, data, data_length, &a->signature, NULL) == 0)
        a->signing = SIGNED;
    else if (c->key)
        a->signing = SIGN_FAILED;
    else if (a->signing == UNSIGNED && !a->sign_op) {
        a->sign_op = tx_agent_sign(a->op.scope, a->settings->agent, c->blob, data, data_length);
        tt_op_await(a->sign_op, on_agent_signed, a);
    }
    if (a->signing == UNSIGNED)
        return LIBSSH2_ERROR_EAGAIN;
    return a->signing == SIGNED ? give_signature(a, signature, length) : -1;
}

/* --- trying; each returns false when it has to wait or is finished --- */

static bool try_key(struct auth *a)
{
    struct candidate *c = &a->candidates[a->at];
    void *abstract = a;
    int rc = TX_SSH2("ssh_auth.publickey",
                     tx_ssh2.userauth_publickey(tx_session_raw(a->session), a->settings->user,
                                                (const unsigned char *)c->offer.data,
                                                c->offer.length, on_sign, &abstract));
    if (rc == LIBSSH2_ERROR_EAGAIN && !tx_session_why(a->session))
        return false;
    if (rc == 0) {
        finish(a, NULL);
        return false;
    }
    tried(a, c->name, a->signing == SIGN_FAILED ? "could not sign" : "refused");
    if (broke(a, rc))
        return false;
    a->at++;
    a->signing = UNSIGNED;
    a->signature.length = 0;
    return true;
}

/* libssh2 gives its prompt callback nothing of ours but the session, which knows its loop: there it
 * finds who is being asked. */
static struct auth **answering(struct tt_loop *loop)
{
    static const struct tt_slot slot = {sizeof(struct auth *), NULL};
    return tt_loop_slot(loop, &slot);
}

static void on_prompts(const char *name, int name_length, const char *instruction,
                       int instruction_length, int count,
                       const LIBSSH2_USERAUTH_KBDINT_PROMPT *prompts,
                       LIBSSH2_USERAUTH_KBDINT_RESPONSE *responses, void **abstract)
{
    (void)name;
    (void)name_length;
    (void)instruction;
    (void)instruction_length;
    const struct tx_session *session = *abstract;
    struct auth *a = *answering(tx_session_loop(session));
    for (int i = 0; i < count; i++) {
        /* a question with an echo asks for something else than the password */
        const char *answer = prompts[i].echo ? "" : a->settings->password;
        responses[i].text = strdup(answer);
        responses[i].length = responses[i].text ? (unsigned)strlen(answer) : 0;
        a->answered = true;
    }
}

static bool try_keyboard(struct auth *a)
{
    struct auth **asked = answering(a->op.loop);
    *asked = a;
    int rc = TX_SSH2("ssh_auth.keyboard", tx_ssh2.userauth_keyboard_interactive_ex(
                                              tx_session_raw(a->session), a->settings->user,
                                              (unsigned)strlen(a->settings->user), on_prompts));
    *asked = NULL;
    if (rc == LIBSSH2_ERROR_EAGAIN && !tx_session_why(a->session))
        return false;
    if (rc == 0) {
        finish(a, NULL);
        return false;
    }
    tried(a, "keyboard-interactive", "refused");
    if (broke(a, rc))
        return false;
    a->state = TRYING_PASSWORD;
    return true;
}

static bool try_password(struct auth *a)
{
    const char *password = a->settings->password;
    if (!password || !accepts(a, "password")) {
        refuse(a);
        return false;
    }
    int rc = TX_SSH2("ssh_auth.password",
                     tx_ssh2.userauth_password_ex(tx_session_raw(a->session), a->settings->user,
                                                  (unsigned)strlen(a->settings->user), password,
                                                  (unsigned)strlen(password), NULL));
    if (rc == LIBSSH2_ERROR_EAGAIN && !tx_session_why(a->session))
        return false;
    if (rc == 0) {
        finish(a, NULL);
        return false;
    }
    tried(a, "password", rc == LIBSSH2_ERROR_PASSWORD_EXPIRED ? "expired" : "refused");
    if (!broke(a, rc))
        refuse(a);
    return false;
}

/* Asks which methods the server accepts now. */
static bool list_methods(struct auth *a)
{
    LIBSSH2_SESSION *raw = tx_session_raw(a->session);
    const char *methods =
        TT_FAULT("ssh_auth.list")
            ? NULL
            : tx_ssh2.userauth_list(raw, a->settings->user, (unsigned)strlen(a->settings->user));
    if (methods) {
        free(a->methods);
        a->methods = tt_strdup(methods);
        return true;
    }
    if (tx_ssh2.userauth_authenticated(raw)) {
        finish(a, NULL); /* "none" was enough */
        return false;
    }
    int rc = tx_ssh2.session_last_errno(raw);
    if (rc == LIBSSH2_ERROR_EAGAIN && !tx_session_why(a->session))
        return false;
    if (!broke(a, rc))
        refuse(a);
    return false;
}

static void step(struct auth *a)
{
    while (!tt_op_finished(&a->op)) {
        switch (a->state) {
        case GATHERING:
            if (!a->listed && !(a->listed = list_methods(a)))
                return;
            if (!tt_op_finished(a->files_op) || a->agent_op)
                return;
            gather(a);
            a->state = TRYING_KEYS;
            break;
        case TRYING_KEYS:
            if (a->at < a->count && (!a->methods || accepts(a, "publickey"))) {
                if (!try_key(a))
                    return;
                break;
            }
            a->state = a->settings->password || !a->methods ? RELISTING : TRYING_PASSWORD;
            break;
        case RELISTING:
            /* a key may have been the first of several factors */
            if ((a->at > 0 || !a->methods) && !list_methods(a))
                return;
            a->state = a->settings->password && accepts(a, "keyboard-interactive") &&
                               !accepts(a, "password")
                           ? TRYING_KEYBOARD
                           : TRYING_PASSWORD;
            break;
        case TRYING_KEYBOARD:
            if (!try_keyboard(a))
                return;
            break;
        case TRYING_PASSWORD:
            if (!try_password(a))
                return;
            break;
        }
    }
}

static void on_wake(struct tx_waiter *waiter)
{
    step(tt_owner(waiter, struct auth, waiter));
}

static void on_files(struct tt_op *op, void *arg)
{
    (void)op;
    step(arg);
}

static void on_agent_listed(struct tt_op *op, void *arg)
{
    struct auth *a = arg;
    struct tt_error *err = tt_error_copy(op->error);
    if (!err)
        tx_agent_read_list(tt_bytes_of(op), &a->agent_keys, &err);
    if (err) {
        char *text = tt_error_text(err);
        tried(a, "agent", text);
        free(text);
        tt_error_free(err);
    }
    a->agent_op = NULL;
    tt_op_release(op);
    step(a);
}

struct tt_op *tx_auth(struct tx_session *session, struct tt_scope *scope,
                      const struct tx_ssh_settings *settings)
{
    static const struct tt_op_class class_ = {"logging in", auth_cancel, auth_free};
    struct auth *a = tt_zalloc(sizeof *a);
    a->session = session;
    tx_session_retain(session);
    a->settings = settings;
    a->waiter.wake = on_wake;
    /* with a key in hand there is no need to ask first */
    a->listed = settings->keys_given;
    tt_op_init(&a->op, &class_, scope);
    if (tt_op_finished(&a->op))
        return &a->op;
    a->files_op =
        tx_keyfiles_read(scope, &settings->keys, &settings->certificates, settings->passphrase);
    tt_op_await(a->files_op, on_files, a);
    if (settings->agent) {
        a->agent_op = tx_agent_list(scope, settings->agent);
        tt_op_await(a->agent_op, on_agent_listed, a);
    }
    tx_session_wait(session, &a->waiter);
    return &a->op;
}
