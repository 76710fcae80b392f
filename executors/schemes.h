/* All kinds of environments that this program knows, as a loop's registry wants them
 * (core/env/registry.h). */
#ifndef TX_SCHEMES_H
#define TX_SCHEMES_H

#include "core/env/registry.h"

extern const struct tt_env_scheme *const tx_schemes[]; /* ends with NULL */

#endif
