/* The shim: the only place that builds what runs on a far side that offers nothing but a shell.
 *
 * It changes the directory, sets the environment, becomes another user, reports the process group,
 * and runs the command. Nothing that others may not see is in an argument: values of variables and
 * everything sent for another user go through stdin (the header), a password answers sudo's prompt.
 *
 * The shim talks back in reports that stand in the command's stderr (with a pty: its stdout):
 * byte 036, a random nonce, a letter with its arguments, byte 037. The reader finds and removes
 * them. The nonce stands in the line only next to the escape `\036`, never next to the byte, so
 * that a command that prints its own command line makes no report.
 *
 *     S pid       the launcher runs (there is more to do before the command does)
 *     ?           sudo asks for the password
 *     R           the launcher of the other user waits for the header
 *     C           the directory could not be entered; the text before says why
 *     P pid group the command runs from here on, in that process group
 *     X code      the command ended with that code; a grandchild may still hold the streams
 *
 * The login shell may be anything that knows `exec` and single quotes (sh, bash, zsh, fish, csh):
 * unless it is /bin/sh itself, it sees one fixed text that starts /bin/sh, and the rest is header.
 */
#ifndef TX_SHIM_H
#define TX_SHIM_H

#include "core/base/buf.h"
#include "core/env/exec.h"

enum { tx_nonce_size = 17 }; /* 16 hex digits and a NUL */

struct tx_shim_options {
    const char *nonce;
    bool shell_is_sh;  /* the far side hands the line to /bin/sh */
    bool report_group; /* the shim's pid need not be its process group: find out */
    bool report_shell; /* P says whether the login shell is /bin/sh: "P pid group 1" */
};

/* What is sent for a command. */
struct tx_shim {
    char *line;           /* for the login shell */
    struct tt_buf header; /* for stdin, before the command's own input */
    bool header_on_ready; /* send the header (only) when R was reported */
};

/* Builds it. The command was checked (core/env/exec.h says by whom). `invalid`: a part cannot be
 * sent. */
int tx_shim_build(struct tx_shim *shim, const struct tt_command *command,
                  const struct tx_shim_options *options, struct tt_error **err);
void tx_shim_clear(struct tx_shim *shim);
/* Fills `nonce` from the system's random numbers. */
int tx_shim_nonce(char nonce[tx_nonce_size], struct tt_error **err);

/* --- reports --- */

struct tx_report {
    char what; /* the letter */
    int64_t pid, group;
    int code;
    bool shell_is_sh;
};

/* Takes the reports out of a stream. All zero but the nonce is its beginning. */
struct tx_reports {
    char nonce[tx_nonce_size];
    struct tt_buf held; /* what may be the beginning of a report */
};

/* Takes the stream's next bytes (and what was held back), adds to out what stands before the first
 * report, and returns true with the report when there is one: call again, without bytes, until it
 * returns false. */
bool tx_reports_next(struct tx_reports *reports, const char *bytes, size_t length,
                     struct tt_buf *out, struct tx_report *report);
/* The stream ended: what was held back is data. */
void tx_reports_end(struct tx_reports *reports, struct tt_buf *out);

#endif
