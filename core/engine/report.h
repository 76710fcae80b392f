/* What a run became, as a document: a reading of the engine's state, during the run or after it.
 *
 * The document of `run --json` has exactly the fields that the manual names, in that order, null
 * where there is nothing. The details are the same with what a report for people needs beside:
 * absent fields are left out, and there are more of them (stdlib/meta/engine.lua lists all). */
#ifndef TT_REPORT_H
#define TT_REPORT_H

#include "core/engine/engine.h"

/* A new reference. */
json_t *tt_report_document(const struct tt_engine *engine);
json_t *tt_report_details(const struct tt_engine *engine);
/* "2026-11-23T17:45:01.250Z". Allocated. */
char *tt_time_text(int64_t ms_since_1970);

#endif
