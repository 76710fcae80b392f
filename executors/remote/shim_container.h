/* What runs in a container in front of a command, where the API itself brings the directory, the
 * environment and the user (Docker): a /bin/sh that reports its pid, which is the process group,
 * and becomes the command. Reports are those of executors/remote/shim.h, in stderr (with a
 * terminal: stdout). Pure. */
#ifndef TX_SHIM_CONTAINER_H
#define TX_SHIM_CONTAINER_H

#include "executors/remote/shim.h"

#include <jansson.h>

/* The argv as a JSON array of strings. Words that are not UTF-8, which JSON cannot carry, stand in
 * the script as octal escapes; so do such values of variables, which `*vars` then leaves out.
 * *vars: "NAME=value" …, for the API. A relative cwd is entered by the shim. */
json_t *tx_shim_container(const struct tt_command *command, const char *nonce, json_t **vars);
/* Whether the shim enters the directory, not the API. */
bool tx_shim_enters(const struct tt_command *command);
/* The same without a shell: `unsupported` where a part needs one. */
int tx_shim_none(const struct tt_command *command, json_t **argv, json_t **vars,
                 struct tt_error **err);

#endif
