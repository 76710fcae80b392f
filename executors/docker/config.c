/* The configuration of a container from options. Pure. */
#include "core/base/alloc.h"
#include "core/base/number.h"
#include "executors/docker/image.h"
#include "executors/remote/owner.h"

#include <stdlib.h>
#include <string.h>

/* "[[address:]host:]container[/protocol]" */
static int add_port(const char *text, json_t *exposed, json_t *bindings, struct tt_error **err)
{
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : strlen(text);
    const char *protocol = slash ? slash + 1 : "tcp";
    char *copy = tt_strndup(text, length);
    char *last = strrchr(copy, ':');
    char *inside = last ? last + 1 : copy, *outside = NULL, *address = NULL;
    int rc = 0;
    if (last) {
        *last = 0;
        char *before = strrchr(copy, ':');
        outside = before ? before + 1 : copy;
        if (before) {
            *before = 0;
            address = copy;
        }
    }
    int port = tt_number(inside);
    bool good = port > 0 && port < 65536 && (!outside || !*outside || tt_number(outside) >= 0) &&
                (strcmp(protocol, "tcp") == 0 || strcmp(protocol, "udp") == 0);
    if (good) {
        char *key = tt_format("%s/%s", inside, protocol);
        json_t *binding = json_pack("[{s:s, s:s}]", "HostIp", address ? address : "", "HostPort",
                                    outside ? outside : "");
        json_object_set_new(exposed, key, json_object());
        json_object_set_new(bindings, key, binding);
        free(key);
    } else {
        rc =
            tt_fail(err, TT_INVALID, "the port '%s' is not [[ADDRESS:]HOST:]CONTAINER[/udp]", text);
    }
    free(copy);
    return rc;
}

static int check_volume(const char *text, struct tt_error **err)
{
    const char *colon = strchr(text, ':');
    if (!colon || colon == text || colon[1] != '/' || strncmp(text, "../", 3) == 0 || *text == '.')
        return tt_fail(err, TT_INVALID, "the volume '%s' is not NAME:/THERE or /HERE:/THERE[:ro]",
                       text);
    return 0;
}

static int add_host(json_t *host, json_t *config, const struct tx_docker_image_options *o,
                    struct tt_error **err)
{
    size_t index;
    const json_t *item;
    int rc = 0;
    json_array_foreach(o->volumes, index, item) if (rc == 0) rc =
        check_volume(json_string_value(item), err);
    if (o->volumes)
        json_object_set(host, "Binds", (json_t *)(uintptr_t)o->volumes);
    json_t *exposed = json_object(), *bindings = json_object();
    json_array_foreach(o->ports, index, item) if (rc == 0) rc =
        add_port(json_string_value(item), exposed, bindings, err);
    json_object_set_new(config, "ExposedPorts", exposed);
    json_object_set_new(host, "PortBindings", bindings);
    if (o->network)
        json_object_set_new(host, "NetworkMode", json_string(o->network));
    if (o->memory)
        json_object_set_new(host, "Memory", json_integer(o->memory));
    if (o->cpus > 0)
        json_object_set_new(host, "NanoCpus", json_integer((json_int_t)(o->cpus * 1e9)));
    json_object_set_new(host, "AutoRemove", json_boolean(!o->keep));
    return rc;
}

json_t *tx_docker_image_config(const struct tx_docker_image_options *o, struct tt_error **err)
{
    json_t *labels = o->labels ? json_copy((json_t *)(uintptr_t)o->labels) : json_object();
    if (!o->keep) {
        char *owner = tx_owner_here();
        json_object_set_new(labels, TX_DOCKER_OWNER_LABEL, json_string(owner));
        free(owner);
    }
    json_t *config = json_pack("{s:s, s:b, s:b, s:o}", "Image", o->image, "OpenStdin", 1,
                               "StdinOnce", !o->keep, "Labels", labels);
    json_t *host = json_object();
    json_object_set_new(config, "HostConfig", host);
    if (o->vars)
        json_object_set(config, "Env", (json_t *)(uintptr_t)o->vars);
    if (o->user)
        json_object_set_new(config, "User", json_string(o->user));
    if (o->workdir)
        json_object_set_new(config, "WorkingDir", json_string(o->workdir));
    if (o->entrypoint) {
        json_object_set(config, "Entrypoint", (json_t *)(uintptr_t)o->entrypoint);
        json_object_set_new(config, "Cmd", json_array());
    }
    if (add_host(host, config, o, err) < 0) {
        json_decref(config);
        return NULL;
    }
    return config;
}
