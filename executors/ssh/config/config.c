#include "executors/ssh/config/config.h"

#include "core/base/alloc.h"
#include "core/base/number.h"
#include "core/env/proc.h"
#include "core/files/whole.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { max_config = 1 << 20, default_connect_ms = 30000, default_keepalive_ms = 15000 };

/* --- who runs this --- */

struct person {
    char *home, *login;
};

static struct person who_am_i(void)
{
    char room[4096];
    struct passwd entry, *found = NULL;
    struct person person;
    bool known = getpwuid_r(getuid(), &entry, room, sizeof room, &found) == 0 && found;
    const char *home = known ? entry.pw_dir : getenv("HOME");
    person.home = tt_strdup(home ? home : "/");
    person.login = known ? tt_strdup(entry.pw_name) : tt_format("%u", (unsigned)getuid());
    return person;
}

static void forget(struct person *person)
{
    free(person->home);
    free(person->login);
}

/* --- the pure part --- */

static char *expand_home(const char *path, const char *home)
{
    if (strncmp(path, "~/", 2) == 0)
        return tt_format("%s/%s", home, path + 2);
    return tt_strdup(path);
}

static void add_path(struct tx_texts *texts, const char *path, const char *home)
{
    char *whole = expand_home(path, home);
    tx_texts_add(texts, whole);
    free(whole);
}

static void add_paths(struct tx_texts *texts, const char *words, const char *home)
{
    char *copy = tt_strdup(words), *rest = copy;
    for (char *word; (word = strsep(&rest, " "));)
        if (*word && strcasecmp(word, "none") != 0)
            add_path(texts, word, home);
    free(copy);
}

static void replace(char **field, const char *value)
{
    free(*field);
    *field = value && strcasecmp(value, "none") != 0 ? tt_strdup(value) : NULL;
}

static enum tx_host_key_policy policy_of(const char *value)
{
    /* "no" would believe anything: here it means that a new host is remembered; a changed key is
     * refused all the same */
    return strcmp(value, "accept-new") == 0 || strcmp(value, "no") == 0 ||
                   strcmp(value, "off") == 0 || strcmp(value, "false") == 0
               ? TX_HOST_KEY_ACCEPT_NEW
               : TX_HOST_KEY_STRICT;
}

static bool is_yes(const char *value)
{
    return strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;
}

struct making {
    struct tx_ssh_settings *s;
    const char *home, *auth_sock;
    bool agent_said;
    struct tx_texts system_files; /* known hosts of the system: after the user's own */
};

static void take_agent(struct making *m, const char *value)
{
    m->agent_said = true;
    if (strcmp(value, "SSH_AUTH_SOCK") == 0)
        value = m->auth_sock;
    else if (*value == '$')
        value = getenv(value + 1);
    replace(&m->s->agent, value);
    if (m->s->agent) {
        char *path = expand_home(m->s->agent, m->home);
        free(m->s->agent);
        m->s->agent = path;
    }
}

static void take_line(struct making *m, const char *name, const char *value)
{
    struct tx_ssh_settings *s = m->s;
    if (strcmp(name, "hostname") == 0)
        replace(&s->host, value);
    else if (strcmp(name, "user") == 0)
        replace(&s->user, value);
    else if (strcmp(name, "port") == 0)
        s->port = tt_number(value);
    else if (strcmp(name, "identityfile") == 0 && strcasecmp(value, "none") != 0)
        add_path(&s->keys, value, m->home);
    else if (strcmp(name, "certificatefile") == 0 && strcasecmp(value, "none") != 0)
        add_path(&s->certificates, value, m->home);
    else if (strcmp(name, "identitiesonly") == 0)
        s->identities_only = is_yes(value);
    else if (strcmp(name, "identityagent") == 0)
        take_agent(m, value);
    else if (strcmp(name, "proxyjump") == 0)
        replace(&s->jump, value);
    else if (strcmp(name, "proxycommand") == 0)
        replace(&s->proxy_command, value);
    else if (strcmp(name, "hostkeyalias") == 0)
        replace(&s->key_alias, value);
    else if (strcmp(name, "userknownhostsfile") == 0)
        add_paths(&s->known_hosts, value, m->home);
    else if (strcmp(name, "globalknownhostsfile") == 0)
        add_paths(&m->system_files, value, m->home);
    else if (strcmp(name, "stricthostkeychecking") == 0)
        s->policy = policy_of(value);
    else if (strcmp(name, "hashknownhosts") == 0)
        s->hash_known_hosts = is_yes(value);
    else if (strcmp(name, "connecttimeout") == 0 && tt_number(value) > 0)
        s->connect_timeout = (int64_t)tt_number(value) * 1000;
    else if (strcmp(name, "serveraliveinterval") == 0 && tt_number(value) > 0)
        s->keepalive = (int64_t)tt_number(value) * 1000;
}

static void take_output(struct making *m, const char *output)
{
    char *copy = tt_strdup(output), *rest = copy;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *value = strchr(line, ' ');
        if (!value)
            continue;
        *value++ = '\0';
        take_line(m, line, value);
    }
    for (size_t i = 0; i < m->system_files.count; i++)
        tx_texts_add(&m->s->known_hosts, m->system_files.items[i]);
    tx_texts_clear(&m->system_files);
    free(copy);
}

static void add_defaults(struct making *m, const char *login, const char *host)
{
    static const char *const keys[] = {"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"};
    static const char *const files[] = {"~/.ssh/known_hosts", "~/.ssh/known_hosts2",
                                        "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"};
    struct tx_ssh_settings *s = m->s;
    if (!s->host)
        s->host = tt_strdup(host);
    if (!s->user)
        s->user = tt_strdup(login);
    if (!s->port)
        s->port = 22;
    if (!s->keys.count)
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            add_path(&s->keys, keys[i], m->home);
    if (!s->known_hosts.count)
        for (size_t i = 0; i < sizeof files / sizeof *files; i++)
            add_path(&s->known_hosts, files[i], m->home);
    if (!m->agent_said)
        replace(&s->agent, m->auth_sock);
    if (!s->policy)
        s->policy = TX_HOST_KEY_STRICT;
    if (!s->connect_timeout)
        s->connect_timeout = default_connect_ms;
    if (!s->keepalive)
        s->keepalive = default_keepalive_ms;
}

void tx_ssh_settings_make(struct tx_ssh_settings *s, const struct tx_ssh_options *o,
                          const char *output, const char *home, const char *login,
                          const char *auth_sock)
{
    struct making m = {.s = s, .home = home, .auth_sock = auth_sock};
    *s = (struct tx_ssh_settings){0};
    take_output(&m, output);
    if (o->user)
        replace(&s->user, o->user);
    if (o->port)
        s->port = o->port;
    if (o->key_count) {
        tx_texts_clear(&s->keys);
        for (size_t i = 0; i < o->key_count; i++)
            add_path(&s->keys, o->keys[i], home);
        s->keys_given = true;
    }
    if (o->known_host_count) {
        tx_texts_clear(&s->known_hosts);
        for (size_t i = 0; i < o->known_host_count; i++)
            add_path(&s->known_hosts, o->known_hosts[i], home);
    }
    if (o->agent)
        take_agent(&m, o->agent);
    if (o->jump || o->jump_env || o->proxy_command) {
        replace(&s->jump, o->jump);
        replace(&s->proxy_command, o->proxy_command);
    }
    if (o->policy)
        s->policy = o->policy;
    if (o->connect_timeout > 0)
        s->connect_timeout = o->connect_timeout;
    if (o->keepalive)
        s->keepalive = o->keepalive;
    add_defaults(&m, login, o->host);
    if (s->keepalive < 0)
        s->keepalive = 0;
    s->passphrase = o->passphrase ? tt_strdup(o->passphrase) : NULL;
    s->password = o->password ? tt_strdup(o->password) : NULL;
}

/* A line is harmless when it cannot change how we connect. */
static bool line_matters(char *line, bool *hash)
{
    char *name = strtok_r(line, " \t=", &line);
    if (!name || *name == '#')
        return false;
    char *value = strtok_r(NULL, " \t=", &line);
    if (!value)
        return true;
    if (strcasecmp(name, "Host") == 0)
        return strcmp(value, "*") != 0;
    if (strcasecmp(name, "Include") == 0) {
        glob_t found = {0};
        bool any = *value == '~' || glob(value, 0, NULL, &found) != GLOB_NOMATCH;
        globfree(&found);
        return any;
    }
    if (strcasecmp(name, "HashKnownHosts") == 0) {
        *hash = is_yes(value);
        return false;
    }
    return strcasecmp(name, "SendEnv") != 0 && strncasecmp(name, "GSSAPI", 6) != 0 &&
           strncasecmp(name, "Forward", 7) != 0;
}

bool tx_ssh_config_matters(const char *text, size_t length, bool *hash)
{
    char *copy = tt_strndup(text, length), *rest = copy;
    bool matters = false;
    for (char *line; !matters && (line = strsep(&rest, "\r\n"));)
        matters = line_matters(line, hash);
    free(copy);
    return matters;
}

/* --- looking, and asking --- */

struct look {
    struct person person;
    bool ask;  /* ssh has to be asked */
    bool hash; /* else: what the files say that concerns us */
    char *config;
};

struct resolve {
    struct tt_op op;
    const struct tx_ssh_options *options;
    struct tt_op *sub;
    struct tx_ssh_settings settings;
    struct person person;
};

static bool file_matters(const char *path, bool *hash)
{
    struct tt_buf text = {0};
    struct tt_error *err = NULL;
    int rc = tt_read_whole(path, max_config, &text, &err);
    bool missing = rc < 0 && err && err->errnum == ENOENT;
    bool matters =
        rc < 0 ? !missing : tx_ssh_config_matters(text.data ? text.data : "", text.length, hash);
    tt_error_free(err);
    tt_buf_free(&text);
    return matters;
}

static int look_at_files(void *arg, struct tt_error **err)
{
    (void)err;
    struct look *look = arg;
    look->person = who_am_i();
    char *users = tt_format("%s/.ssh/config", look->person.home);
    look->ask = look->config || file_matters(users, &look->hash) ||
                file_matters("/etc/ssh/ssh_config", &look->hash);
    free(users);
    return 0;
}

static void drop_look(void *arg)
{
    struct look *look = arg;
    forget(&look->person);
    free(look->config);
    free(look);
}

static void finish(struct resolve *r, struct tt_error *err)
{
    tt_op_drop(&r->sub, err);
    tt_op_finish(&r->op, err);
}

static void resolve_cancel(struct tt_op *op, const struct tt_error *why)
{
    finish((struct resolve *)(void *)op, tt_error_copy(why));
}

static void resolve_free(struct tt_op *op)
{
    struct resolve *r = (struct resolve *)(void *)op;
    tx_ssh_settings_clear(&r->settings);
    forget(&r->person);
    free(r);
}

static void make(struct resolve *r, const char *output)
{
    tx_ssh_settings_make(&r->settings, r->options, output, r->person.home, r->person.login,
                         getenv("SSH_AUTH_SOCK"));
    finish(r, NULL);
}

static void on_answer(struct tt_op *op, void *arg)
{
    struct resolve *r = arg;
    struct tt_result *result = tt_result_of(op);
    if (op->error || !result) {
        finish(r, tt_error_copy(op->error));
    } else if (result->kind == TT_OK) {
        make(r, result->out.data ? result->out.data : "");
    } else if (result->kind == TT_NOT_FOUND && !r->options->config) {
        make(r, ""); /* no ssh here: options and defaults */
    } else {
        struct tt_error *err = NULL;
        tt_fail(&err, TT_INVALID, "ssh cannot read its configuration for %s: %.*s",
                r->options->host, (int)strcspn(result->err.data ? result->err.data : "", "\n"),
                result->err.data ? result->err.data : result->message);
        finish(r, err);
    }
}

static void ask_ssh(struct resolve *r)
{
    const struct tx_ssh_options *o = r->options;
    char port[16];
    snprintf(port, sizeof port, "%d", o->port);
    char *argv[12] = {0};
    size_t n = 0;
    argv[n++] = (char *)"ssh";
    argv[n++] = (char *)"-G";
    if (o->config) {
        argv[n++] = (char *)"-F";
        argv[n++] = (char *)o->config;
    }
    if (o->user) {
        argv[n++] = (char *)"-l";
        argv[n++] = (char *)o->user;
    }
    if (o->port) {
        argv[n++] = (char *)"-p";
        argv[n++] = port;
    }
    argv[n++] = (char *)"--";
    argv[n] = (char *)o->host;
    struct tt_command command = {.argv = argv};
    struct tt_capture_options capture;
    tt_capture_defaults(&capture);
    r->sub = tt_capture(o->here, r->op.scope, &command, &capture);
    tt_op_await(r->sub, on_answer, r);
}

static void on_looked(struct tt_op *op, void *arg)
{
    struct resolve *r = arg;
    if (op->error) {
        finish(r, tt_error_copy(op->error));
        return;
    }
    struct look *look = tt_work_arg(op);
    r->person = look->person;
    look->person = (struct person){0};
    bool ask = look->ask, hash = look->hash;
    r->sub = NULL;
    tt_op_release(op);
    if (ask)
        ask_ssh(r);
    else
        make(r, hash ? "hashknownhosts yes\n" : "");
}

struct tt_op *tx_ssh_resolve(struct tt_scope *scope, const struct tx_ssh_options *options)
{
    static const struct tt_op_class class_ = {"reading ssh's configuration", resolve_cancel,
                                              resolve_free};
    struct resolve *r = tt_zalloc(sizeof *r);
    r->options = options;
    tt_op_init(&r->op, &class_, scope);
    if (tt_op_finished(&r->op))
        return &r->op;
    if (options->no_config) {
        r->person = who_am_i();
        make(r, "");
        return &r->op;
    }
    struct look *look = tt_zalloc(sizeof *look);
    look->config = options->config ? tt_strdup(options->config) : NULL;
    r->sub = tt_work(scope, "looking for ssh's configuration", look_at_files, look, drop_look);
    tt_op_await(r->sub, on_looked, r);
    return &r->op;
}

void tx_ssh_settings_take(struct tt_op *op, struct tx_ssh_settings *settings)
{
    struct resolve *r = (struct resolve *)(void *)op;
    *settings = r->settings;
    r->settings = (struct tx_ssh_settings){0};
}
