/* What the file operations of the ssh environment share: an operation over the host's SFTP client.
 * Internal to executors/ssh_*.c. */
#ifndef TX_SSH_TASK_H
#define TX_SSH_TASK_H

#include "executors/ssh/sftp/sftp.h"

struct tx_task {
    union {
        struct tt_op op;
        struct tt_stat_op stat;
        struct tt_entries_op entries;
        struct tt_file_op file;
        struct tt_digest_op digest;
        struct tt_bytes_op bytes;
    } as;
    struct tt_env *env;               /* held */
    struct tx_sftp *sftp;             /* once there is one */
    struct tt_op *sub;                /* what it waits for besides replies */
    void (*go)(struct tx_task *task); /* begins, with the client */
    const char *what;                 /* "read": for errors */
    char *path, *other;               /* owned */
    struct tt_buf handle;             /* open on the server */
    int mode;
    bool flag;               /* follow, recursive … */
    size_t waiting;          /* replies */
    struct tt_error *failed; /* the first failure, while others are waited for */
    struct tx_texts names;
    size_t at;
    uint32_t first_id; /* of requests that were sent together */
    tx_sftp_done *first_done;
    bool asked;   /* a request was sent */
    bool retried; /* … and lost with its connection, before any answer: begun again on another */
};

/* The class says what is freed with it: one of core/files/files.h's free functions. */
struct tx_task *tx_task_new(struct tt_env *env, struct tt_scope *scope,
                            const struct tt_op_class *class_, const char *what, const char *path,
                            void (*go)(struct tx_task *task));
/* The same in memory of the caller's, all zero, that begins with the task. */
void tx_task_init(struct tx_task *task, struct tt_env *env, struct tt_scope *scope,
                  const struct tt_op_class *class_, const char *what, const char *path,
                  void (*go)(struct tx_task *task));
/* For the classes. */
void tx_task_cancel(struct tt_op *op, const struct tt_error *why);
void tx_task_clear(struct tx_task *task); /* before the typed free */
/* Gets the client and calls go; the task may be finished when this returns. Returns its operation.
 */
struct tt_op *tx_task_begin(struct tx_task *task);

/* Ends it: takes err; closes the handle. */
void tx_task_finish(struct tx_task *task, struct tt_error *err);
/* Sends a request and returns its number; the payload is freed. */
uint32_t tx_task_ask(struct tx_task *task, enum tx_sftp_type type, struct tt_buf *payload,
                     tx_sftp_done *done);
/* A request whose payload is a path. */
uint32_t tx_task_ask_path(struct tx_task *task, enum tx_sftp_type type, const char *path,
                          tx_sftp_done *done);
void tx_task_ask_handle(struct tx_task *task, enum tx_sftp_type type, tx_sftp_done *done);
/* True when the reply is of that type (STATUS: is OK); else the task was finished with its error.
 */
bool tx_task_expects(struct tx_task *task, const struct tx_sftp_reply *reply, uint8_t type);
/* For a reply that says so with a name in it (REALPATH, READLINK): allocated; NULL when damaged. */
char *tx_reply_name(const struct tx_sftp_reply *reply);
void tx_task_take_handle(struct tx_task *task, const struct tx_sftp_reply *reply);

#endif
