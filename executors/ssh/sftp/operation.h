/* What the file operations of an ssh environment share: one that asks the host's SFTP client, with
 * the type of its result. Who makes one owns it as its tt_op. Only files of this folder include it.
 * Loop thread.
 */
#ifndef TX_SFTP_OPERATION_H
#define TX_SFTP_OPERATION_H

#include "executors/ssh/sftp/sftp.h"

struct tx_operation {
    union {
        struct tt_op op;
        struct tt_stat_op stat;
        struct tt_entries_op entries;
        struct tt_file_op file;
        struct tt_digest_op digest;
        struct tt_bytes_op bytes;
    } as;
    struct tt_env *env;                         /* held */
    struct tx_sftp *sftp;                       /* once there is one */
    struct tt_op *sub;                          /* what it waits for besides replies */
    void (*go)(struct tx_operation *operation); /* begins, with the client */
    const char *what;                           /* "read": for errors */
    char *path, *other;                         /* owned */
    struct tt_buf handle;                       /* open on the server */
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
struct tx_operation *tx_operation_new(struct tt_env *env, struct tt_scope *scope,
                                      const struct tt_op_class *class_, const char *what,
                                      const char *path, void (*go)(struct tx_operation *operation));
/* The same in memory of the caller's, all zero, that begins with the operation. */
void tx_operation_init(struct tx_operation *operation, struct tt_env *env, struct tt_scope *scope,
                       const struct tt_op_class *class_, const char *what, const char *path,
                       void (*go)(struct tx_operation *operation));
/* For the classes. */
void tx_operation_cancel(struct tt_op *op, const struct tt_error *why);
void tx_operation_clear(struct tx_operation *operation); /* before the typed free */
/* Gets the client and calls go; it may be finished when this returns. */
struct tt_op *tx_operation_begin(struct tx_operation *operation);

/* Ends it: takes err; closes the handle. */
void tx_operation_finish(struct tx_operation *operation, struct tt_error *err);
/* Sends a request and returns its number; the payload is freed. */
uint32_t tx_operation_ask(struct tx_operation *operation, enum tx_sftp_type type,
                          struct tt_buf *payload, tx_sftp_done *done);
/* A request whose payload is a path. */
uint32_t tx_operation_ask_path(struct tx_operation *operation, enum tx_sftp_type type,
                               const char *path, tx_sftp_done *done);
void tx_operation_ask_handle(struct tx_operation *operation, enum tx_sftp_type type,
                             tx_sftp_done *done);
/* True when the reply is of that type (STATUS: is OK); else the operation was finished with its
 * error.
 */
bool tx_operation_expects(struct tx_operation *operation, const struct tx_sftp_reply *reply,
                          uint8_t type);
/* For a reply that says so with a name in it (REALPATH, READLINK): allocated; NULL when damaged. */
char *tx_reply_name(const struct tx_sftp_reply *reply);
void tx_operation_take_handle(struct tx_operation *operation, const struct tx_sftp_reply *reply);

#endif
