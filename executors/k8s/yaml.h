/* YAML as JSON values: kubeconfigs and manifests. By libyaml, loaded on first use.
 *
 * Plain scalars become null, booleans and numbers as Kubernetes' own tools read them (YAML 1.1:
 * also yes, no, on, off); everything quoted or tagged !!str is a string. Aliases and `<<` are
 * resolved; documents that unfold to more than a million values are refused. */
#ifndef TX_YAML_H
#define TX_YAML_H

#include "core/base/error.h"

#include <jansson.h>

/* An array with one value for each document. `invalid` with line and column; `what` names the
 * text. */
int tx_yaml_parse(json_t **documents, const char *text, size_t length, const char *what,
                  struct tt_error **err);

#endif
