#include "executors/http/curl.h"

#include "core/base/fault.h"

#include <dlfcn.h>
#include <stdbool.h>

static int find_all(void *library, struct tx_curl *curl, struct tt_error **err)
{
#define X(name)                                                                                    \
    curl->name = (__typeof__(curl->name))dlsym(library, "curl_" #name);                            \
    if (!curl->name)                                                                               \
        return tt_fail(err, TT_UNSUPPORTED, "libcurl has no curl_" #name);
    TX_CURL_FUNCTIONS(X)
#undef X
    /* a handle's search includes the libraries that it pulled in */
    curl->ssl_shutdown = (int (*)(void *))dlsym(library, "SSL_shutdown");
    curl->sha1 = (__typeof__(curl->sha1))dlsym(library, "SHA1");
    return 0;
}

int tx_curl_load(const struct tx_curl **out, struct tt_error **err)
{
    static struct tx_curl curl;
    static bool loaded;
    if (!loaded) {
        void *library =
            TT_FAULT("curl_lib.dlopen") ? NULL : dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
        if (!library)
            return tt_fail(err, TT_UNSUPPORTED,
                           "HTTP needs libcurl (Debian package libcurl4), which could not be "
                           "loaded");
        int rc = find_all(library, &curl, err);
        if (rc < 0)
            return rc;
        if (TT_FAULT("curl_lib.init") || curl.global_init(CURL_GLOBAL_ALL) != CURLE_OK)
            return tt_fail(err, TT_IO, "libcurl could not be initialised");
        loaded = true;
    }
    *out = &curl;
    return 0;
}
