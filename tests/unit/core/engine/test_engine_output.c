/* What a run leaves behind: logs, reports, documents. */
#include "engine_support.h"

#include <sys/stat.h>

static void test_output_goes_to_the_log_and_the_report(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_output outputs[] = {{5, TT_STDOUT, "hello "},
                                                    {6, TT_STDERR, "oh\n"}};
    static const struct tx_fake_command commands[] = {
        {.line = "say", .lasts = 10, .outputs = outputs, .output_count = 2}, {.line = "quiet"}};
    tx_fake_add(b->env, commands, 2);
    declare(b->plan, b->env, "a/b", "say", NULL);
    task(b, "quiet", "a/b");
    struct tt_engine *engine = run(b, 4);
    const char *log = tt_engine_log(engine, 0);
    assert_non_null(log);
    assert_non_null(strstr(log, "/logs/a%2Fb.log"));
    FILE *file = fopen(log, "r");
    char text[32] = {0};
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof text - 1, file), 9);
    fclose(file);
    assert_string_equal(text, "hello oh\n");
    assert_null(tt_engine_log(engine, 1));
    assert_non_null(strstr(b->story.data, "output:a/b=hello "));

    json_t *document = tt_report_document(engine);
    const json_t *first = json_array_get(json_object_get(document, "tasks"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "output")), "hello ");
    json_decref(document);
    bench_free(b);
}

static void test_secrets_are_masked_across_chunks(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_output outputs[] = {
        {1, TT_STDOUT, "key=hun"}, {2, TT_STDOUT, "ter2 "}, {3, TT_STDOUT, "hun"}};
    static const struct tx_fake_command commands[] = {
        {.line = "say", .lasts = 10, .outputs = outputs, .output_count = 3}};
    tx_fake_add(b->env, commands, 1);
    declare(b->plan, b->env, "say", "say", NULL);
    struct tt_masker *masker = tt_masker_new();
    tt_masker_add(masker, "hunter2", 7);
    struct tt_engine_options options = {
        .plan = b->plan, .state_dir = b->dir, .masker = masker, .listener = {on_event, b, true}};
    b->op = tt_engine_start(b->scope, &options);
    tt_op_await(b->op, on_done, b);
    struct tt_engine *engine = finish(b);
    FILE *file = fopen(tt_engine_log(engine, 0), "r");
    char text[64] = {0};
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    assert_string_equal(text, "key=*** hun");
    assert_null(strstr(b->story.data, "hunter2"));
    tt_masker_free(masker);
    bench_free(b);
}

static void test_document_has_exactly_its_fields(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_command commands[] = {{.line = "a", .code = 4}, {.line = "undo"}};
    tx_fake_add(b->env, commands, 2);
    more(b, task(b, "a", NULL))->rollback = shell(b->plan, "undo");
    task(b, "b", "a");
    struct tt_engine *engine = run(b, 4);
    json_t *document = tt_report_document(engine);
    json_object_set_new(document, "run", json_string("R"));
    json_object_set_new(document, "started_at", json_string("T"));
    json_object_set_new(json_array_get(json_object_get(document, "tasks"), 0), "started_at",
                        json_string("T"));
    struct tt_buf text = {0};
    assert_int_equal(tt_json_dump(&text, document, 0, NULL), 0);
    assert_string_equal(
        text.data,
        "{\"workflow\":\"demo\",\"run\":\"R\",\"status\":\"failed\",\"started_at\":\"T\","
        "\"duration_s\":0.0,\"tasks\":[{\"id\":\"a\",\"status\":\"failed\",\"attempts\":1,"
        "\"environment\":\"fake:\",\"started_at\":\"T\",\"duration_s\":0.0,\"exit_code\":4,"
        "\"error\":{\"kind\":\"exit\",\"message\":\"ended with code 4\"},\"rollback\":{\"status\":"
        "\"rolled_back\",\"exit_code\":0,\"error\":null},\"output\":\"\",\"artifacts\":[]},"
        "{\"id\":\"b\",\"status\":\"skipped\",\"attempts\":0,\"environment\":\"fake:\","
        "\"started_at\":null,\"duration_s\":null,\"exit_code\":null,\"error\":null,"
        "\"rollback\":null,\"output\":null,\"artifacts\":[]}]}");
    tt_buf_free(&text);
    json_decref(document);
    bench_free(b);
}

static void test_file_names(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"build", "build"},
                                           {"a/b", "a%2Fb"},
                                           {"..", "%2E."},
                                           {"a%2Fb", "a%252Fb"},
                                           {"test[os=linux,v=1]", "test[os=linux,v=1]"},
                                           {"\xc3\xa9", "%C3%A9"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char *name = tt_file_name(pairs[i][0]);
        assert_string_equal(name, pairs[i][1]);
        free(name);
    }
    char one[301], two[301];
    memset(one, 'x', 300);
    one[300] = 0;
    memcpy(two, one, sizeof two);
    two[299] = 'y';
    char *a = tt_file_name(one), *c = tt_file_name(two);
    assert_string_not_equal(a, c);
    assert_true(strlen(a) < 240);
    free(a);
    free(c);
}

/* Fails when the clock jumps while artifacts are hashed and moved by worker threads: then the
 * attempt, which takes 10 ms of the 11 that it may, is out of time. */
static void test_collecting_and_laying_out_take_no_virtual_time(void **state)
{
    (void)state;
    struct bench *b = bench_new();
    static const struct tx_fake_command commands[] = {{.line = "a", .lasts = 10},
                                                      {.line = "b", .lasts = 10}};
    tx_fake_add(b->env, commands, 2);
    char *from = tt_format("%s/from", b->dir), *to = tt_format("%s/to", b->dir);
    assert_int_equal(mkdir(from, 0777) | mkdir(to, 0777), 0);
    char *big = tt_zalloc(1 << 20);
    for (int i = 0; i < 20; i++) {
        char *path = tt_format("%s/f%d", from, i);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(big, 1, 1 << 20, file), 1 << 20);
        fclose(file);
        free(path);
    }
    free(big);
    struct tt_task *a = task(b, "a", NULL), *c = task(b, "b", "a");
    a->cwd = tt_plan_text(b->plan, from, strlen(from));
    c->cwd = tt_plan_text(b->plan, to, strlen(to));
    more(b, a)->output = names(b->plan, "f*");
    more(b, c)->input = names(b->plan, "f*");
    a->timeout = c->timeout = 11;
    struct tt_engine *engine = run(b, 4);
    assert_status(b, TT_RUN_COMPLETED);
    const struct tt_run *told = tt_engine_run(engine);
    assert_int_equal(tt_run_ended_at(told) - tt_run_started_at(told), 20);
    assert_true(exists(to, "/f0") && exists(to, "/f19"));
    free(from);
    free(to);
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_goes_to_the_log_and_the_report),
        cmocka_unit_test(test_secrets_are_masked_across_chunks),
        cmocka_unit_test(test_document_has_exactly_its_fields),
        cmocka_unit_test(test_file_names),
        cmocka_unit_test(test_collecting_and_laying_out_take_no_virtual_time),
    };
    return cmocka_run_group_tests_name("engine_output", tests, NULL, NULL);
}
