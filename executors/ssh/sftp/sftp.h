/* SFTP, version 3 (draft-ietf-secsh-filexfer-02), over one channel of a host, with as many requests
 * in flight as its users like: libssh2's own client waits for each. One client per host, shared by
 * all operations on files, started with the first one. Loop thread. */
#ifndef TX_SFTP_H
#define TX_SFTP_H

#include "core/files/files.h"
#include "executors/ssh/host/host.h"
#include "executors/ssh/wire/pack.h"

enum tx_sftp_type {
    TX_SFTP_OPEN = 3,
    TX_SFTP_CLOSE = 4,
    TX_SFTP_READ = 5,
    TX_SFTP_WRITE = 6,
    TX_SFTP_LSTAT = 7,
    TX_SFTP_FSTAT = 8,
    TX_SFTP_SETSTAT = 9,
    TX_SFTP_FSETSTAT = 10,
    TX_SFTP_OPENDIR = 11,
    TX_SFTP_READDIR = 12,
    TX_SFTP_REMOVE = 13,
    TX_SFTP_MKDIR = 14,
    TX_SFTP_RMDIR = 15,
    TX_SFTP_REALPATH = 16,
    TX_SFTP_STAT = 17,
    TX_SFTP_RENAME = 18,
    TX_SFTP_READLINK = 19,
    TX_SFTP_SYMLINK = 20,
    TX_SFTP_STATUS = 101,
    TX_SFTP_HANDLE = 102,
    TX_SFTP_DATA = 103,
    TX_SFTP_NAME = 104,
    TX_SFTP_ATTRS = 105,
    TX_SFTP_EXTENDED = 200,
    TX_SFTP_EXTENDED_REPLY = 201,
};

enum tx_sftp_status {
    TX_SFTP_OK = 0,
    TX_SFTP_EOF = 1,
    TX_SFTP_NO_SUCH_FILE = 2,
    TX_SFTP_DENIED = 3,
    TX_SFTP_FAILURE = 4,
    TX_SFTP_LOST = -1, /* not the server's: the connection ended first */
};

struct tx_sftp;

struct tx_sftp_reply {
    uint32_t id;           /* the request's */
    uint8_t type;          /* TX_SFTP_STATUS … */
    int status;            /* of TX_SFTP_STATUS; else TX_SFTP_OK */
    struct tx_span said;   /* a status' message */
    struct tx_cursor body; /* what follows the request's number; for the types but STATUS */
};

typedef void tx_sftp_done(void *arg, const struct tx_sftp_reply *reply);

/* Finishes with tx_sftp_of once the client may be used. Kinds: those of a channel; unsupported when
 * the server has no SFTP. */
struct tt_op *tx_sftp_get(struct tx_host *host, struct tt_scope *scope);
struct tx_sftp *tx_sftp_of(struct tt_op *op); /* one reference; NULL on error */
void tx_sftp_retain(struct tx_sftp *sftp);
void tx_sftp_release(struct tx_sftp *sftp);

/* Sends a request and returns its number; the payload is what follows that. `done` is called from a
 * job, once, also when the connection ends (status TX_SFTP_LOST); not after tx_sftp_forget. */
uint32_t tx_sftp_send(struct tx_sftp *sftp, enum tx_sftp_type type, const struct tt_buf *payload,
                      tx_sftp_done *done, void *arg);
/* With data after the payload, as a string: for writes. */
uint32_t tx_sftp_send_data(struct tx_sftp *sftp, enum tx_sftp_type type,
                           const struct tt_buf *payload, const void *data, size_t length,
                           tx_sftp_done *done, void *arg);
/* The replies to arg are not wanted any more. */
void tx_sftp_forget(struct tx_sftp *sftp, void *arg);
/* Closes a handle; nobody waits for that. */
void tx_sftp_close_quietly(struct tx_sftp *sftp, const struct tt_buf *handle);
void tx_sftp_remove_quietly(struct tx_sftp *sftp, const char *path);

/* The most bytes that one request reads or writes. */
size_t tx_sftp_max_read(const struct tx_sftp *sftp);
size_t tx_sftp_max_write(const struct tx_sftp *sftp);
/* rename() over what stands there. */
bool tx_sftp_can_replace(const struct tx_sftp *sftp);

/* Attributes. */
enum { TX_SFTP_HAS_SIZE = 1, TX_SFTP_HAS_OWNER = 2, TX_SFTP_HAS_MODE = 4, TX_SFTP_HAS_TIMES = 8 };
/* Sets all but target; false when the server left out what is needed. */
bool tx_sftp_get_attrs(struct tx_cursor *cursor, struct tt_stat *stat);
void tx_sftp_put_mode(struct tt_buf *payload, int mode); /* negative: no attributes */
void tx_sftp_put_owner(struct tt_buf *payload, unsigned uid, unsigned gid);

/* The error that a reply stands for: "cannot WHAT PATH: …". */
struct tt_error *tx_sftp_error(const struct tx_sftp_reply *reply, const char *what,
                               const char *path);

#endif
