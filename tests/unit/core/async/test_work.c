/* Work on threads: its result, its cancellation before and while it runs, its failure to begin. */
#include "async_support.h"

#include "core/async/work.h"

#include <semaphore.h>

struct job {
    sem_t begun, go;
    atomic_bool stop;
    atomic_int ran;
    bool fails;
};

static void job_init(struct job *job)
{
    memset(job, 0, sizeof *job);
    sem_init(&job->begun, 0, 0);
    sem_init(&job->go, 0, 0);
}

static int do_job(void *arg, struct tt_error **err)
{
    struct job *job = arg;
    job->ran++;
    sem_post(&job->begun);
    sem_wait(&job->go);
    int rc = tt_call_check(&job->stop, err);
    return rc < 0 || !job->fails ? rc : tt_fail(err, TT_IO, "it failed");
}

static void interrupt(void *arg)
{
    struct job *job = arg;
    note('i');
    atomic_store(&job->stop, true);
    sem_post(&job->go);
}

static void note_drop(void *arg)
{
    (void)arg;
    note('d');
}

/* Fails when the result or error of the work is lost, or arg is dropped before the operation. */
static void work_yields_its_error(void **state)
{
    (void)state;
    struct job job;
    for (int i = 0; i < 2; i++) {
        job_init(&job);
        job.fails = i == 1;
        sem_post(&job.go);
        struct tt_op *op = await(tt_work(root, "test", do_job, &job, note_drop));
        assert_ptr_equal(tt_work_arg(op), &job);
        if (i == 0)
            assert_null(op->error);
        else
            assert_string_equal(op->error->message, "it failed");
        assert_int_equal(strlen(story), i);
        tt_op_release(op);
    }
    assert_string_equal(story, "dd");
}

/* Fails when cancelled work ends before its thread is done with arg, or is not told to end. */
static void cancelled_while_it_runs_it_is_awaited(void **state)
{
    (void)state;
    struct job job;
    job_init(&job);
    struct tt_error *why = reason();
    struct tt_op *op = tt_work(root, "test", do_job, &job, note_drop);
    tt_work_on_cancel(op, interrupt);
    sem_wait(&job.begun);
    tt_op_cancel(op, why);
    assert_false(tt_op_finished(op));
    assert_string_equal(story, "i");
    assert_string_equal(await(op)->error->message, "the test said so");
    tt_op_release(op);
    assert_string_equal(story, "id");
    tt_error_free(why);
}

/* Fails when an outcome that was observed is replaced by the cancellation. */
static void what_was_done_before_the_cancel_counts(void **state)
{
    (void)state;
    struct job job;
    job_init(&job);
    struct tt_error *why = reason();
    struct tt_op *op = tt_work(root, "test", do_job, &job, NULL);
    sem_wait(&job.begun);
    tt_op_cancel(op, why);
    sem_post(&job.go);
    assert_null(await(op)->error);
    tt_op_release(op);
    tt_error_free(why);
}

/* Fails when what waits for a thread runs though it was cancelled. There are four threads or so:
 * all are kept busy before. */
static void cancelled_before_it_runs_it_never_does(void **state)
{
    (void)state;
    enum { threads = 4 };
    struct job busy[threads], job;
    struct tt_op *ops[threads];
    struct tt_error *why = reason();
    for (int i = 0; i < threads; i++) {
        job_init(&busy[i]);
        ops[i] = tt_work(root, "busy", do_job, &busy[i], NULL);
    }
    for (int i = 0; i < threads; i++)
        sem_wait(&busy[i].begun);
    job_init(&job);
    sem_post(&job.go);
    struct tt_op *op = tt_work(root, "test", do_job, &job, NULL);
    tt_op_cancel(op, why);
    assert_string_equal(await(op)->error->message, "the test said so");
    for (int i = 0; i < threads; i++)
        sem_post(&busy[i].go);
    for (int i = 0; i < threads; i++)
        tt_op_release(await(ops[i]));
    assert_int_equal(job.ran, 0);
    tt_op_release(op);
    tt_error_free(why);
}

/* Fails when a scope that is over still sends work to a thread, or leaks its arg. */
static void in_a_cancelled_scope_it_never_runs(void **state)
{
    (void)state;
    struct job job;
    job_init(&job);
    struct tt_error *why = reason();
    struct tt_scope *scope = tt_scope_new(loop, root);
    tt_scope_cancel(scope, why);
    struct tt_op *op = await(tt_work(scope, "test", do_job, &job, note_drop));
    assert_non_null(op->error);
    tt_op_release(op);
    assert_string_equal(story, "d");
    assert_int_equal(job.ran, 0);
    tt_scope_release(scope);
    tt_error_free(why);
}

int main(void)
{
    setenv("UV_THREADPOOL_SIZE", "4", 1);
    const struct CMUnitTest tests[] = {
        T(work_yields_its_error),
        T(cancelled_while_it_runs_it_is_awaited),
        T(what_was_done_before_the_cancel_counts),
        T(cancelled_before_it_runs_it_never_does),
        T(in_a_cancelled_scope_it_never_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
