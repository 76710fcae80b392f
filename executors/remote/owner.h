/* Who made a container or a job: the process that is written on it as a label. A tutti that was
 * killed leaves such things behind; the next one on the same machine finds that their owner is no
 * more and removes them. Any thread. */
#ifndef TX_OWNER_H
#define TX_OWNER_H

#include <stdbool.h>

/* "boot/pid/start": this process. Allocated. */
char *tx_owner_here(void);
/* Whether a label names a process of this machine, since its last start, that has ended. A label of
 * another machine, or one that cannot be read, is never dead. */
bool tx_owner_is_dead(const char *owner);

#endif
