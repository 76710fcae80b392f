/* What a daemon says of its containers as it happens: commands ended, containers killed, ended,
 * removed. One subscription a daemon, there while somebody watches and a moment longer. It is why
 * nothing here polls. */
#ifndef TX_DOCKER_EVENTS_H
#define TX_DOCKER_EVENTS_H

#include "executors/docker/api.h"

struct tx_docker_events;

/* One that wants to know; embedded in its owner, who leaves before it goes. */
struct tx_docker_watch {
    /* `action` is "exec_die", "kill", "die", "destroy", "health_status: …"; `container` the full
     * id. */
    void (*event)(struct tx_docker_watch *watch, const char *action, const char *container,
                  const json_t *attributes);
    /* The subscription broke or could not be made: nothing more will be heard, the watch has left.
     */
    void (*broken)(struct tx_docker_watch *watch, const struct tt_error *why);
    struct tx_docker_watch *next;
    bool joined;
};

/* From now on, and from `since` (seconds since 1970 by the daemon's clock; 0: now) where there is
 * no subscription yet: an event of before may then be heard twice by others. */
void tx_docker_events_join(struct tx_docker *docker, struct tx_docker_watch *watch, int64_t since);
void tx_docker_events_leave(struct tx_docker *docker, struct tx_docker_watch *watch);
/* Ends the subscription now if nobody watches. */
void tx_docker_events_rest(struct tx_docker *docker);
/* The seconds of a reply's Date header; 0 when it cannot be read. */
int64_t tx_docker_date(const char *date);

/* For api.c. */
void tx_docker_events_free(struct tx_docker_events *events);

#endif
