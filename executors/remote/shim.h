/* The shim: shell code that runs a command on a far side which offers nothing but a shell. Only
 * these files build it.
 *
 * The shim changes the directory, sets variables, becomes another user, reports the process group,
 * and runs the command. Nothing secret is in an argument, where others could see it: values of
 * variables, and everything that is sent for another user, go first through stdin (the header); a
 * password answers sudo's prompt.
 *
 * The shim talks back in reports that stand in the command's stderr (with a pty: its stdout):
 * byte 036, a random nonce, a letter with its arguments, byte 037. struct tx_reports
 * finds and removes them. The line has the nonce only after the four characters `\036`, never after
 * the byte, so that a command that prints its own command line makes no report.
 *
 *     S pid       the launcher runs, but not yet the command
 *     ?           sudo asks for the password
 *     R           the launcher of the other user waits for the header
 *     C           the directory could not be entered; the text before says why
 *     P pid group the command runs from here on, in that process group
 *     X code      the command ended with that code; a grandchild may still hold the streams
 *
 * The login shell may be anything that knows `exec` and single quotes (sh, bash, zsh, fish, csh):
 * unless it is /bin/sh itself, its line is one fixed text that starts /bin/sh, and all else is in
 * the header. */
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

/* Builds the shim of a command that tt_command_check has passed. Kind `invalid` when a part of the
 * command cannot be sent. Clear it with tx_shim_clear. */
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

/* Takes the reports out of one stream. All zero but the nonce at the stream's beginning. */
struct tx_reports {
    char nonce[tx_nonce_size];
    struct tt_buf held; /* what may be the beginning of a report */
};

/* Takes the stream's next bytes, appends to `out` those before the first report, and returns true
 * with that report. False: no whole report is left, all other bytes are in `out`. After true call
 * again, without bytes, for what comes after the report. */
bool tx_reports_next(struct tx_reports *reports, const char *bytes, size_t length,
                     struct tt_buf *out, struct tx_report *report);
/* The stream ended: appends what was held back to `out`, for it is no report. */
void tx_reports_end(struct tx_reports *reports, struct tt_buf *out);

#endif
