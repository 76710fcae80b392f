/* Files in a container. Where the image has a shell they are had through it
 * (executors/remote/shell_files.h), which does all that the contract asks for. Where it has none,
 * the daemon's archive API is used: it reads and writes files and trees, but it cannot rename,
 * remove or keep an owner. There a write replaces the file in place, and `remove` is `unsupported`.
 */
#ifndef TX_DOCKER_FILES_H
#define TX_DOCKER_FILES_H

#include "core/files/files.h"
#include "executors/docker/exec.h"

extern const struct tt_file_class tx_docker_files;

/* What is known of an environment's container: 0 nothing, 1 it has /bin/sh, -1 it has none. */
struct tx_docker_rooms {
    struct tx_docker *docker;
    const char *container; /* NULL: it does not run */
    int *shell;
};

/* By the archive API (archive.c, archive_put.c). `path` is absolute. */
struct tt_op *tx_archive_stat(const struct tx_docker_rooms *rooms, struct tt_scope *scope,
                              const char *path, bool follow);
const char *tx_archive_stat_path(struct tt_op *op); /* what was looked at in the end */
struct tt_op *tx_archive_list(const struct tx_docker_rooms *rooms, struct tt_scope *scope,
                              const char *path);
struct tt_op *tx_archive_open_read(struct tt_env *env, const struct tx_docker_rooms *rooms,
                                   struct tt_scope *scope, const char *path);
struct tt_op *tx_archive_open_write(struct tt_env *env, const struct tx_docker_rooms *rooms,
                                    struct tt_scope *scope, const char *path,
                                    const struct tt_write_options *options);
/* type 'd' or 'l' (target). */
struct tt_op *tx_archive_make(const struct tx_docker_rooms *rooms, struct tt_scope *scope,
                              const char *path, char type, unsigned mode, const char *target);

#endif
