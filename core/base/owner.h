/* From a member back to the struct that it lives in: jobs, timers, watches and waiters are embedded
 * in their owners, and their callbacks get only the member. */
#ifndef TT_OWNER_H
#define TT_OWNER_H

#include <stddef.h>

#define tt_owner(member_address, type, member)                                                     \
    ((type *)(void *)((char *)(member_address)-offsetof(type, member)))

#endif
