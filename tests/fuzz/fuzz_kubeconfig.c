/* Kubeconfigs: whatever stands in them, reading ends, and a context that is chosen is whole. */
#include "core/alloc.h"
#include "executors/kubeconfig.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct tx_kube_config *config)
{
    const char *base = config->http.base;
    if (!config->context || !config->name_space || !base)
        abort();
    if (strncmp(base, "https://", 8) != 0 && strncmp(base, "http://", 7) != 0)
        abort();
    if (config->exec && !json_is_object(config->exec))
        abort();
}

static void choose(const json_t *all, const char *name)
{
    struct tx_kube_config config = {0};
    struct tt_error *err = NULL;
    if (tx_kube_choose(&config, all, name, &err) == 0)
        check(&config);
    else if (!err)
        abort();
    tt_error_free(err);
    tx_kube_config_clear(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *all = json_object();
    struct tt_error *err = NULL;
    char *text =
        tt_strndup((const char *)data, size); /* of its own, so that a step outside is seen */
    if (tx_kube_merge(all, text, size, "/folder/config", &err) < 0 && !err)
        abort();
    tt_error_free(err);
    err = NULL;
    /* a second file never takes anything back from the first */
    size_t before = json_array_size(json_object_get(all, "contexts"));
    tx_kube_merge(all, text, size, "second", &err);
    tt_error_free(err);
    if (json_array_size(json_object_get(all, "contexts")) < before)
        abort();
    choose(all, NULL);
    choose(all, "test");
    size_t index;
    json_t *context;
    json_array_foreach(json_object_get(all, "contexts"), index, context)
    {
        const char *name = json_string_value(json_object_get(context, "name"));
        if (name)
            choose(all, name);
    }
    json_decref(all);
    free(text);
    return 0;
}
