/* The files of an environment that has none: every operation is `unsupported`. */
#ifndef TX_NO_FILES_H
#define TX_NO_FILES_H

#include "core/files/files.h"

extern const struct tt_file_class tx_no_files;

#endif
