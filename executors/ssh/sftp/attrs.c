#include "executors/ssh/sftp/sftp.h"

bool tx_sftp_get_attrs(struct tx_cursor *c, struct tt_stat *stat)
{
    uint32_t flags = tx_get_u32(c), mode = 0;
    *stat = (struct tt_stat){0};
    if (flags & TX_SFTP_HAS_SIZE)
        stat->size = tx_get_u64(c);
    if (flags & TX_SFTP_HAS_OWNER) {
        stat->uid = tx_get_u32(c);
        stat->gid = tx_get_u32(c);
    }
    if (flags & TX_SFTP_HAS_MODE)
        mode = tx_get_u32(c);
    if (flags & TX_SFTP_HAS_TIMES) {
        tx_get_u32(c);
        stat->mtime = tx_get_u32(c);
    }
    if (flags & 0x80000000u)
        for (uint32_t count = tx_get_u32(c); count > 0 && !c->bad; count--) {
            tx_get_string(c);
            tx_get_string(c);
        }
    stat->mode = mode & 07777;
    switch (mode & 0170000) {
    case 0100000:
        stat->type = TT_FILE_REGULAR;
        break;
    case 0040000:
        stat->type = TT_FILE_DIRECTORY;
        break;
    case 0120000:
        stat->type = TT_FILE_SYMLINK;
        break;
    default:
        stat->type = TT_FILE_OTHER;
    }
    return !c->bad && (flags & TX_SFTP_HAS_MODE);
}

void tx_sftp_put_mode(struct tt_buf *payload, int mode)
{
    tx_put_u32(payload, mode < 0 ? 0 : TX_SFTP_HAS_MODE);
    if (mode >= 0)
        tx_put_u32(payload, (uint32_t)mode);
}

void tx_sftp_put_owner(struct tt_buf *payload, unsigned uid, unsigned gid)
{
    tx_put_u32(payload, TX_SFTP_HAS_OWNER);
    tx_put_u32(payload, uid);
    tx_put_u32(payload, gid);
}

struct tt_error *tx_sftp_error(const struct tx_sftp_reply *reply, const char *what,
                               const char *path)
{
    switch (reply->status) {
    case TX_SFTP_LOST:
        return tt_error_new(TT_LOST, "cannot %s %s: the connection ended", what, path);
    case TX_SFTP_NO_SUCH_FILE:
        return tt_error_new(TT_NOT_FOUND, "cannot %s %s: no such file or directory", what, path);
    case TX_SFTP_DENIED:
        return tt_error_new(TT_PERMISSION, "cannot %s %s: permission denied", what, path);
    default:
        if (!reply->said.length)
            return tt_error_new(TT_IO, "cannot %s %s: the server does not say why", what, path);
        return tt_error_new(TT_IO, "cannot %s %s: the server says: %.*s", what, path,
                            (int)reply->said.length, (const char *)reply->said.bytes);
    }
}
