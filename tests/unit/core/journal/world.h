/* A world for a run: everything that could happen to it, decided by the seed and the number of the
 * input alone, so that whoever has told a run the first k inputs can go on as if it had told them
 * itself. Records every input and every effect as bytes. */
#ifndef TT_TEST_WORLD_H
#define TT_TEST_WORLD_H

#include "core/base/random.h"
#include "core/journal/codec.h"
#include "core/run/slots.h"

enum { world_ops = 256 };

struct world {
    uint64_t seed;
    struct tt_revival revival;
    struct tt_plan *plan;
    struct tt_run *run;
    struct tt_slots slots;
    struct {
        uint64_t op;
        uint32_t task;
        enum tt_phase phase;
        bool told;        /* to stop */
    } running[world_ops]; /* operations, as the effects told */
    uint32_t running_count;
    int64_t now;
    uint64_t step; /* inputs told */
    bool over;
    struct tt_buf inputs;  /* length, then the input, of each */
    struct tt_buf effects; /* of all inputs */
};

/* The loop's schemes, and a script host whose functions are named "f0", "f1" … */
void world_use(struct tt_loop *loop);
struct tt_script_host *world_host(void);

/* The workflow of a seed. */
struct tt_plan *world_plan(struct tt_loop *loop, uint64_t seed);
/* A run of it that was told nothing but its start. */
void world_begin(struct world *world, struct tt_loop *loop, uint64_t seed, struct tt_plan *plan);
/* Tells the run the next input; false when it is over. */
bool world_go(struct world *world);
/* Tells it an input that was recorded: the same must follow. 0, or what was wrong. */
const char *world_replay(struct world *world, const char *bytes, size_t length);
void world_end(struct world *world);

#endif
