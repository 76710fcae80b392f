/* Files of an ssh host, by SFTP. */
#ifndef TX_SSH_FILES_H
#define TX_SSH_FILES_H

#include "core/files/files.h"

extern const struct tt_file_class tx_ssh_files;

#endif
