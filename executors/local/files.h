/* Files of this machine. Everything that may block runs on worker threads.
 *
 * Writing: into a temporary ".tutti-…" in the same directory, renamed over the target at commit; an
 * existing file keeps its mode and owner, or the write is refused when they cannot be kept. Nothing
 * is synced to disk: after a crash of tutti a file is whole, old or new; after a power cut that is
 * up to the file system. Devices are written in place. Pipes and sockets are refused, both ways:
 * a thread that waits for the other end could not be called back. */
#ifndef TX_LOCAL_FILES_H
#define TX_LOCAL_FILES_H

#include "core/files/files.h"

extern const struct tt_file_class tx_local_files;

#endif
