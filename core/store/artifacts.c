/* Lists of artifacts, and choosing from them: the pure part of core/store/store.h. */
#include "core/base/alloc.h"
#include "core/base/glob.h"
#include "core/store/parts.h"

#include <stdlib.h>
#include <string.h>

static void add(struct tt_artifacts *list, struct tt_artifact artifact)
{
    /* room grows by doubling: at 0, 1, 2, 4, 8 … */
    if ((list->count & (list->count - 1)) == 0)
        list->items =
            tt_reallocarray(list->items, list->count ? list->count * 2 : 1, sizeof *list->items);
    list->items[list->count++] = artifact;
}

void tt_artifacts_add(struct tt_artifacts *list, const struct tt_artifact *artifact)
{
    struct tt_artifact copy = *artifact;
    copy.path = tt_strdup(artifact->path);
    add(list, copy);
}

void tt_artifacts_copy(struct tt_artifacts *to, const struct tt_artifacts *from)
{
    *to = (struct tt_artifacts){0};
    for (size_t i = 0; i < from->count; i++)
        tt_artifacts_add(to, &from->items[i]);
}

void tt_artifacts_clear(struct tt_artifacts *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].path);
    free(list->items);
    *list = (struct tt_artifacts){0};
}

/* --- patterns: what each one names, and all below that --- */

void tt_wanted_init(struct tt_wanted *wanted, const char *const *patterns, size_t count)
{
    *wanted = (struct tt_wanted){.count = count};
    wanted->patterns = tt_reallocarray(NULL, 2 * count, sizeof *wanted->patterns);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(patterns[i]);
        while (length > 1 && patterns[i][length - 1] == '/')
            length--;
        wanted->patterns[2 * i] = tt_strdup(patterns[i]);
        wanted->patterns[2 * i + 1] = tt_format("%.*s/**", (int)length, patterns[i]);
    }
    wanted->hits = tt_zalloc(2 * count * sizeof *wanted->hits);
}

int tt_wanted_compile(struct tt_wanted *wanted, struct tt_error **err)
{
    /* alone first, so that a message shows the pattern as it was given */
    for (size_t i = 0; i < wanted->count; i++) {
        const char *pattern = wanted->patterns[2 * i];
        int rc = tt_glob_new(&wanted->glob, &pattern, 1, err);
        if (rc < 0)
            return rc;
        tt_glob_free(wanted->glob);
        wanted->glob = NULL;
    }
    return tt_glob_new(&wanted->glob, (const char *const *)wanted->patterns, 2 * wanted->count,
                       err);
}

bool tt_wanted_match(struct tt_wanted *wanted, const char *path)
{
    return tt_glob_match(wanted->glob, path, false, wanted->hits);
}

int tt_wanted_check(const struct tt_wanted *wanted, const char *where, struct tt_error **err)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (!wanted->hits[2 * i] && !wanted->hits[2 * i + 1])
            return tt_fail(err, TT_ARTIFACT, "%s: nothing matches the pattern %s", where,
                           wanted->patterns[2 * i]);
    return 0;
}

void tt_wanted_clear(struct tt_wanted *wanted)
{
    for (size_t i = 0; i < 2 * wanted->count; i++)
        free(wanted->patterns[i]);
    free(wanted->patterns);
    free(wanted->hits);
    tt_glob_free(wanted->glob);
    *wanted = (struct tt_wanted){0};
}

/* --- choosing --- */

struct choice {
    const struct tt_artifact *artifact;
    const char *source;
};

static int by_path(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;
    return strcmp(x->artifact->path, y->artifact->path);
}

static bool same(const struct tt_artifact *a, const struct tt_artifact *b)
{
    return strcmp(a->sha256, b->sha256) == 0 && tt_artifact_is_link(a) == tt_artifact_is_link(b);
}

static int merge(struct tt_artifacts *out, struct choice *choices, size_t count,
                 struct tt_error **err)
{
    if (count > 1)
        qsort(choices, count, sizeof *choices, by_path);
    for (size_t i = 0, first = 0; i < count; i++) {
        if (i > 0 && by_path(&choices[i], &choices[first]) == 0) {
            if (!same(choices[i].artifact, choices[first].artifact))
                return tt_fail(err, TT_INVALID, "%s and %s both give %s, with different content",
                               choices[first].source, choices[i].source, choices[i].artifact->path);
            continue;
        }
        first = i;
        tt_artifacts_add(out, choices[i].artifact);
    }
    return 0;
}

int tt_artifacts_select(struct tt_artifacts *out, const struct tt_artifact_source *sources,
                        size_t source_count, const char *const *patterns, size_t pattern_count,
                        struct tt_error **err)
{
    struct tt_wanted wanted;
    struct choice *choices = NULL;
    size_t count = 0, room = 0;
    *out = (struct tt_artifacts){0};
    tt_wanted_init(&wanted, patterns, pattern_count);
    int rc = tt_wanted_compile(&wanted, err);
    for (size_t s = 0; s < source_count && rc == 0; s++)
        for (size_t i = 0; i < sources[s].artifacts->count; i++) {
            const struct tt_artifact *artifact = &sources[s].artifacts->items[i];
            if (!tt_wanted_match(&wanted, artifact->path))
                continue;
            if (count == room) {
                room = room ? room * 2 : 16;
                choices = tt_reallocarray(choices, room, sizeof *choices);
            }
            choices[count++] = (struct choice){artifact, sources[s].name};
        }
    if (rc == 0)
        rc = tt_wanted_check(&wanted, "the outputs of the tasks before", err);
    if (rc == 0)
        rc = merge(out, choices, count, err);
    if (rc < 0)
        tt_artifacts_clear(out);
    free(choices);
    tt_wanted_clear(&wanted);
    return rc;
}
