/* All modules of tutti, in C and in Lua: the one place that knows them.
 *
 * The modules in C are lua/'s; those in Lua are stdlib/, as bytecode inside of the binary (or from
 * the folder $TUTTI_STDLIB while one works on them). `require "tutti.NAME"` finds both. */
#ifndef LT_LIBRARIES_H
#define LT_LIBRARIES_H

#include "lua/vm/vm.h"

/* Makes the modules known to `require` and replaces what would block the loop (require itself,
 * os.execute, io.read …). Once, after lt_vm_new. */
int lt_libraries_open(struct lt_vm *vm, struct tt_error **err);

#endif
