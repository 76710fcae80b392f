/* What runs in a pod in front of a command: a /bin/sh that reads the command from its stdin (so
 * that no value stands in an argument or a URL), changes the directory, sets the environment,
 * reports the process group, feeds the command's stdin, reports its code, and, when the connection
 * ends before it was told to go, kills the group.
 *
 * stdin is framed, because the API's older WebSocket protocol cannot close it alone: a line with a
 * length, then so many bytes; "0" closes the command's stdin, "e" ends the shim (one that feeds
 * nothing ends with the command, unless it stays). With a terminal
 * the bytes go to it unframed, and the end of input is ^D.
 *
 * Reports are those of executors/remote/shim.h, in stderr (with a terminal: stdout): R the terminal
 * is ready for the header, P pid group, C, X code. Pure. */
#ifndef TX_SHIM_POD_H
#define TX_SHIM_POD_H

#include "executors/remote/shim.h"

enum { tx_pod_chunk = 64 << 10 };

/* The argument of `/bin/sh -c`: the same for all commands but for the nonce and its kind. `stays`:
 * it must not end before it is told to. */
char *tx_shim_pod_line(const char *nonce, const struct tt_command *command, bool stays);
/* What to send first; to a terminal not before R was reported. */
void tx_shim_pod_header(struct tt_buf *out, const char *nonce, const struct tt_command *command);
/* Appends input, framed unless there is a terminal; at most tx_pod_chunk bytes at once. */
void tx_shim_pod_input(struct tt_buf *out, const void *bytes, size_t length, bool pty);
void tx_shim_pod_input_end(struct tt_buf *out, bool pty);
/* After X: the shim may go. */
void tx_shim_pod_release(struct tt_buf *out, bool pty);

#endif
