#include "executors/ssh_files.h"
const struct tt_file_class tx_ssh_files = {0};
