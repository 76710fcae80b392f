/* Files of an environment that has a shell and the usual tools (stat, find, dd, mv …; busybox's are
 * enough), by commands in it: pods, and containers. */
#ifndef TX_SHELL_FILES_H
#define TX_SHELL_FILES_H

#include "core/files.h"

extern const struct tt_file_class tx_shell_files;

#endif
