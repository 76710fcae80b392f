/* Named fault points: every call that can fail passes one, so that the fault suite can make each
 * fail in turn. In a release build the macro is 0 and costs nothing.
 *
 *     if (TT_FAULT("local.pipe") || pipe2(fds, O_CLOEXEC) < 0) …
 *
 * With TT_FAULTS, the environment variable TUTTI_FAULT selects what fails: "name" fails the first
 * passage, "name:3" the third, "name:3+" the third and all later ones. errno is set to EIO.
 * TUTTI_FAULT_LIST=FILE appends "name:1" when a process first passes a point, and so on to
 * "name:3". */
#ifndef TT_FAULT_H
#define TT_FAULT_H

#ifdef TT_FAULTS
#include <stdbool.h>
bool tt_fault(const char *name);
#define TT_FAULT(name) tt_fault(name)
#else
#define TT_FAULT(name) 0
#endif

#endif
