/* Which cluster is meant, where it is, and who we are there: kubeconfig files, and the service
 * account inside a cluster.
 *
 * KUBECONFIG may name several files: for each cluster, user and context, and for the current
 * context, the first file that has it counts. Without one, ~/.kube/config; without that, the
 * service account. */
#ifndef TX_KUBECONFIG_H
#define TX_KUBECONFIG_H

#include "core/base/buf.h"
#include "executors/http/http.h"

#include <jansson.h>

/* Which one the script means; NULL: what the files say. */
struct tx_kube_where {
    const char *context;
    const char *kubeconfig; /* a path list as in KUBECONFIG */
};

struct tx_kube_config {
    char *context; /* NULL inside a cluster */
    char *files;   /* that it was read from, absolute, as in KUBECONFIG; NULL inside a cluster */
    char *name_space;
    struct tx_http_config http;
    char *token, *token_file;
    char *user, *password; /* basic */
    json_t *exec;          /* a credential plugin: the file's `exec`, or NULL */
    char *folder;          /* of the file that the user stands in: the plugin's relative path */
};

int tx_kube_config_find(struct tx_kube_config *config, const struct tx_kube_where *where,
                        struct tt_error **err);
void tx_kube_config_clear(struct tx_kube_config *config);
/* Appends the file, up to 8 MiB. 1: read, 0: there is no such file. */
int tx_kube_read_file(const char *path, struct tt_buf *text, struct tt_error **err);

/* --- its pure part, for tests --- */

/* Merges the documents of one file into `all` (an object); relative paths start at folder. */
int tx_kube_merge(json_t *all, const char *text, size_t length, const char *path,
                  struct tt_error **err);
/* Reads the context (NULL: the current one) out of what was merged. */
int tx_kube_choose(struct tx_kube_config *config, const json_t *all, const char *context,
                   struct tt_error **err);

#endif
