/* Exact JSON, on libjansson's values.
 *
 * Reading: integers keep all 64 bits and larger ones are refused rather than rounded; a duplicate
 * key, invalid UTF-8 and anything after the value are refused; \u0000 in a string is kept.
 * Writing: members in the order of insertion; bytes that are not UTF-8 (make such strings with
 * json_stringn_nocheck) become U+FFFD, one for each that cannot be part of a character; doubles
 * have the fewest of 15 to 17 digits that read back the same, and always look like one ("1.0"). */
#ifndef TT_JSON_H
#define TT_JSON_H

#include "core/base/buf.h"
#include "core/base/error.h"

#include <jansson.h>

enum { tt_json_depth = 1000 }; /* arrays and objects inside one another, both ways */

/* Any JSON value, also one that is not an array or object. Kind `invalid`; the message says where:
 * "line 3, column 7: …", `what` in front of it. */
int tt_json_parse(json_t **value, const char *text, size_t length, const char *what,
                  struct tt_error **err);

/* Appends the text. indent 0: compact, on one line; else that many spaces a level. No newline at
 * the end. Kind `invalid` for a value nested too deeply (or containing itself): out is then as it
 * was. */
int tt_json_dump(struct tt_buf *out, const json_t *value, int indent, struct tt_error **err);
/* Appends one string literal, by the same rules. */
void tt_json_string(struct tt_buf *out, const char *bytes, size_t length);

#endif
