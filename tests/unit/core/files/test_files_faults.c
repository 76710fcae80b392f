/* Every fault point that files and artifacts pass fails in turn, in a process of its own: each
 * operation then has its whole effect or reports an error, and nothing half-done stays. */
#include "core/store/store.h"
#include "files_support.h"

enum { went_well = 0, honest = 1, lie = 3, leftover = 4 };

static char list_path[64], points[256][64];
static int point_count;

/* --- the scenario; runs in a child --- */

static void say_lie(const char *what)
{
    fprintf(stderr, "A LIE: %s\n", what);
    exit(lie);
}

static bool any_error;

static void note_done(struct tt_op *op, void *arg)
{
    (void)op;
    *(bool *)arg = true;
}

/* The operation succeeds, and then `check` (a shell line) holds; or it fails, and then `otherwise`
 * does. */
static void expect(struct tt_op *op, const char *name, const char *check, const char *otherwise)
{
    bool done = false;
    tt_op_await(op, note_done, &done);
    if (!tt_loop_run(loop, &done))
        say_lie("an operation never ends");
    if (op->error) {
        any_error = true;
        if (!op->error->message || !*op->error->message)
            say_lie("an error without a message");
    }
    if (shell(op->error ? otherwise : check) != 0) {
        fprintf(stderr, "%s: %s\n", name, op->error ? op->error->message : "reported success");
        say_lie(op->error ? "a failure had an effect" : "a success had none");
    }
    tt_op_release(op);
    settle();
}

static void files_scenario(void)
{
    struct tt_write_options plain = {.mode = -1, .size = -1}, exact = {.mode = 0640, .size = -1};
    shell("mkdir -p t/d/e; echo x > t/d/e/f; ln -s f t/d/e/l; echo old > old; ln -s old link;"
          "chmod 600 old; chown 12:34 old");
    expect(tt_write_file(env, scope, in_dir("link"), "new\n", 4, &exact), "write",
           "grep new old && test -L link && test $(stat -c %a old) = 640", "grep old old");
    expect(tt_write_file(env, scope, in_dir("fresh"), "new\n", 4, &plain), "write",
           "grep new fresh", "test ! -e fresh");
    expect(tt_write_file(env, scope, "/dev/null", "new", 3, &plain), "device", "test -c /dev/null",
           "test -c /dev/null");
    expect(tt_read_file(env, scope, in_dir("old"), 1000), "read", "true", "true");
    expect(tx_local_files.stat(env, scope, in_dir("link"), false), "stat", "true", "true");
    expect(tx_local_files.digest(env, scope, in_dir("old")), "digest", "true", "true");
    const char *all = "**";
    expect(tx_local_files.glob(env, scope, in_dir("t"), &all, 1), "glob", "true", "true");
    expect(tt_glob_by_listing(env, scope, in_dir("t"), &all, 1), "list", "true", "true");
    expect(tx_local_files.mkdir(env, scope, in_dir("m/n"), 0700), "mkdir",
           "test $(stat -c %a m/n) = 700", "true");
    expect(tt_copy(env, in_dir("t"), env, in_dir("c"), scope), "copy",
           "diff -r --no-dereference t c", "true");
    expect(tx_local_files.remove(env, scope, in_dir("t"), true), "remove", "test ! -e t", "true");
}

static void store_scenario(void)
{
    struct tt_store *store;
    struct tt_error *err = NULL;
    const char *patterns[] = {"d"};
    shell("mkdir -p from/d to; echo x > from/d/f; ln -s f from/d/l; head -c 100000 /dev/zero > "
          "from/d/b");
    if (tt_store_open(&store, in_dir("store"), &err) < 0) {
        any_error = true;
        tt_error_free(err);
        return;
    }
    struct tt_op *op = tt_store_collect(store, scope, env, in_dir("from"), patterns, 1);
    tt_op_retain(op);
    expect(op, "collect",
           "cd store; test $(ls | wc -l) = 3;"
           " for f in *; do test $(sha256sum < $f | cut -d' ' -f1) = $f; done",
           "cd store; for f in $(ls); do test $(sha256sum < $f | cut -d' ' -f1) = $f; done");
    if (!op->error)
        for (int i = 0; i < 2; i++)
            expect(tt_store_lay_out(store, scope, env, in_dir("to"), tt_artifacts_of(op)),
                   "lay out", "diff -r --no-dereference from to", "true");
    tt_op_release(op);
    tt_store_free(store);
}

/* Ends with how it went. */
static void run_scenario(void)
{
    setup(NULL);
    files_scenario();
    store_scenario();
    if (shell("find . -name '.tutti-*' | grep .") == 0) {
        fprintf(stderr, "a temporary was left behind\n");
        exit(leftover);
    }
    teardown(NULL);
    exit(any_error ? honest : went_well);
}

/* --- the parent --- */

static int run_with(const char *name, const char *value)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setenv(name, value, 1);
        run_scenario();
    }
    int status;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void learn_points(void)
{
    char line[64];
    FILE *list = fopen(list_path, "r");
    assert_non_null(list);
    while (point_count < 256 && fgets(line, sizeof line, list)) {
        char *passage = strchr(line, ':');
        if (!passage || strcmp(passage, ":1\n") != 0)
            continue;
        *passage = 0;
        snprintf(points[point_count++], sizeof points[0], "%s", line);
    }
    fclose(list);
    unlink(list_path);
}

static void without_a_fault(void **state)
{
    (void)state;
    snprintf(list_path, sizeof list_path, "/tmp/tutti-points-%d", (int)getpid());
    assert_int_equal(run_with("TUTTI_FAULT_LIST", list_path), went_well);
    learn_points();
    assert_true(point_count > 30);
}

static void each_in_turn(void **state)
{
    (void)state;
    int failed = 0;
    for (int i = 0; i < point_count; i++)
        for (int passage = 0; passage < 2; passage++) {
            static const char *const which[] = {"", ":1+"};
            if (strncmp(points[i], "loop.", 5) == 0) /* not ours; nothing runs without one */
                continue;
            char fault[80];
            snprintf(fault, sizeof fault, "%s%s", points[i], which[passage]);
            int code = run_with("TUTTI_FAULT", fault);
            if (code != went_well && code != honest) {
                print_error("%s: ended with %d\n", fault, code);
                failed++;
            }
        }
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_fault),
        cmocka_unit_test(each_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
