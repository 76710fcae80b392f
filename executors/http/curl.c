#include "executors/http/curl.h"

#include "core/base/fault.h"
#include "core/base/library.h"

#include <stdbool.h>

static struct tx_curl table;
static const char *const names[] = {
#define X(name) "curl_" #name,
    TX_CURL_FUNCTIONS(X)
#undef X
        NULL};

static struct tt_library library = {.file = "libcurl.so.4",
                                    .needed = "HTTP needs libcurl (Debian package libcurl4)",
                                    .names = names,
                                    .table = &table,
                                    .fault = "curl_lib.dlopen"};

int tx_curl_load(const struct tx_curl **out, struct tt_error **err)
{
    static bool initialised;
    int rc = tt_library_load(&library, err);
    if (rc < 0)
        return rc;
    if (!initialised) {
        if (TT_FAULT("curl_lib.init") || table.global_init(CURL_GLOBAL_ALL) != CURLE_OK)
            return tt_fail(err, TT_IO, "libcurl could not be initialised");
        /* a handle's search includes the libraries that it pulled in */
        table.ssl_shutdown = (int (*)(void *))tt_library_find(&library, "SSL_shutdown");
        table.sha1 = (__typeof__(table.sha1))tt_library_find(&library, "SHA1");
        initialised = true;
    }
    *out = &table;
    return 0;
}
