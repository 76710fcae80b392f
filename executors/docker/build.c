#include "executors/docker/build.h"

#include "core/async/chain.h"
#include "core/base/alloc.h"
#include "core/base/fault.h"
#include "executors/remote/tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { max_ignore = 1 << 20 };

/* --- on a worker thread: the folder as an archive --- */

struct packing {
    char *context, *dockerfile;
    struct tx_ignore *ignore;
    int archive;
};

static void packing_drop(void *arg)
{
    struct packing *packing = arg;
    if (packing->archive >= 0)
        close(packing->archive);
    tx_ignore_free(packing->ignore);
    free(packing->context);
    free(packing->dockerfile);
    free(packing);
}

static int read_ignore(struct packing *packing, struct tt_error **err)
{
    char *path = tt_format("%s/.dockerignore", packing->context), *text = tt_zalloc(max_ignore + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    ssize_t got = fd < 0 ? 0 : TT_FAULT("docker_build.ignore") ? -1 : read(fd, text, max_ignore);
    if ((fd < 0 && errno != ENOENT) || got < 0)
        rc = tt_fail_errno(err, errno, "%s", path);
    else if (got == max_ignore)
        rc = tt_fail(err, TT_INVALID, "%s is longer than 1 MiB", path);
    else if (got > 0)
        rc = tx_ignore_new(&packing->ignore, text, err);
    if (fd >= 0)
        close(fd);
    free(text);
    free(path);
    return rc;
}

static bool wanted(void *arg, const char *path)
{
    const struct packing *packing = arg;
    return !packing->ignore || strcmp(path, packing->dockerfile) == 0 ||
           strcmp(path, ".dockerignore") == 0 || !tx_ignored(packing->ignore, path);
}

static int pack(void *arg, struct tt_error **err)
{
    struct packing *packing = arg;
    char *dockerfile = tt_format("%s/%s", packing->context, packing->dockerfile);
    int rc = access(dockerfile, R_OK) < 0 ? tt_fail_errno(err, errno, "%s", dockerfile) : 0;
    free(dockerfile);
    if (rc == 0)
        rc = read_ignore(packing, err);
    if (rc == 0)
        rc = packing->archive = tx_tar_file(err);
    if (rc >= 0)
        rc = tx_tar_tree(packing->archive, packing->context, wanted, packing, NULL, err);
    return rc < 0 ? rc : 0;
}

/* --- the build --- */

struct building {
    struct tt_op op;
    struct tt_chain chain;
    struct tx_docker *docker; /* held */
    char *path;
    struct tx_exchange *reply;
};

static struct building *of(struct tt_op *op)
{
    return (struct building *)(void *)op;
}

static void building_cancel(struct tt_op *op, const struct tt_error *why)
{
    tt_chain_cancel(&of(op)->chain, why);
}

static void building_free(struct tt_op *op)
{
    tx_exchange_free(of(op)->reply);
    tx_docker_release(of(op)->docker);
    free(of(op)->path);
    free(op);
}

static void on_sent(struct tt_op *op, struct tt_op *sent)
{
    of(op)->reply = tx_docker_sent(sent);
    tt_op_finish(op, tt_error_copy(sent->error));
}

static void on_packed(struct tt_op *op, struct tt_op *packed)
{
    struct building *building = of(op);
    if (packed->error) {
        tt_op_finish(op, tt_error_copy(packed->error));
        return;
    }
    struct packing *packing = tt_work_arg(packed);
    struct tx_docker_request request = {.method = "POST",
                                        .path = building->path,
                                        .content_type = "application/x-tar",
                                        .body = packing->archive,
                                        .patience = TT_NEVER};
    packing->archive = -1;
    tt_then(&building->chain, op, tx_docker_send(building->docker, op->scope, &request), on_sent);
}

struct tt_op *tx_docker_build(struct tx_docker *docker, struct tt_scope *scope, const char *context,
                              const char *dockerfile, const char *path)
{
    static const struct tt_op_class class_ = {"docker build", building_cancel, building_free};
    struct building *building = tt_zalloc(sizeof *building);
    building->docker = docker;
    tx_docker_retain(docker);
    building->path = tt_strdup(path);
    tt_op_init(&building->op, &class_, scope);
    if (tt_op_finished(&building->op))
        return &building->op;
    struct packing *packing = tt_zalloc(sizeof *packing);
    packing->context = tt_strdup(context);
    packing->dockerfile = tt_strdup(dockerfile);
    packing->archive = -1;
    tt_then(&building->chain, &building->op, tt_work(scope, "pack", pack, packing, packing_drop),
            on_packed);
    return &building->op;
}

struct tx_exchange *tx_docker_built(struct tt_op *op)
{
    struct tx_exchange *reply = op->error ? NULL : of(op)->reply;
    if (reply)
        of(op)->reply = NULL;
    return reply;
}
