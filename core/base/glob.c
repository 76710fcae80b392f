/* Patterns are compiled into one small program for a machine that is in many states at once: a set
 * of program positions is carried over the text character by character (Thompson's construction),
 * so no pattern can make it backtrack. */
#include "core/base/glob.h"

#include "core/base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { max_pattern = 65536, max_nesting = 100 };

enum what {
    CHAR,  /* exactly this character */
    ANY,   /* any but '/' */
    DEEP,  /* any at all; not through a symlink */
    SET,   /* one of ranges[a] .. ranges[b - 1], or with negated none of them */
    FORK,  /* go on at a and at b */
    JUMP,  /* go on at a */
    MATCH, /* pattern a matches up to here */
};

struct step {
    enum what what;
    bool negated;
    uint32_t a, b;
};

struct range {
    uint32_t first, last;
};

struct tt_glob {
    struct step *steps;
    size_t count, room;
    struct range *ranges;
    size_t range_count, range_room;
    size_t words; /* of 64 bits, for one bit a step */
    uint32_t *stack;
    uint64_t *now, *then;
};

/* --- characters --- */

/* Not a character: what follows a directory's name where the pattern ends with a slash. */
enum { directory_mark = 0x120000 };

/* The character at *at, which moves on. A byte that is not UTF-8 is a character beyond Unicode; so
 * are the bytes of an overlong form, or a '/' could hide in one. */
static uint32_t next_char(const unsigned char **at)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *p = *at;
    uint32_t c = *p++;
    *at = p;
    unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0;
    if (c < 0x80)
        return c;
    uint32_t value = c & (0x3fu >> more);
    for (unsigned i = 0; i < more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0x110000 + c;
        value = value << 6 | (p[i] & 0x3fu);
    }
    if (!more || c >= 0xf8 || value < least[more] || value > 0x10ffff)
        return 0x110000 + c;
    *at = p + more;
    return value;
}

/* --- compiling --- */

struct parser {
    struct tt_glob *glob;
    const unsigned char *at;
    const char *pattern;
    unsigned depth;
    bool start; /* at the start of a component */
    struct tt_error **err;
};

static uint32_t emit(struct tt_glob *glob, enum what what, uint32_t a, uint32_t b)
{
    if (glob->count == glob->room) {
        glob->room = glob->room ? glob->room * 2 : 32;
        glob->steps = tt_reallocarray(glob->steps, glob->room, sizeof *glob->steps);
    }
    glob->steps[glob->count] = (struct step){what, false, a, b};
    return (uint32_t)glob->count++;
}

static uint32_t here(const struct tt_glob *glob)
{
    return (uint32_t)glob->count;
}

static int bad(struct parser *p, const char *why)
{
    return tt_fail(p->err, TT_INVALID, "pattern %s: %s", p->pattern, why);
}

/* loop: fork(body, out); body: `what`; jump(loop); out: */
static void emit_loop(struct tt_glob *glob, enum what what)
{
    uint32_t loop = emit(glob, FORK, 0, 0);
    glob->steps[loop].a = here(glob);
    emit(glob, what, 0, 0);
    emit(glob, JUMP, loop, 0);
    glob->steps[loop].b = here(glob);
}

/* At "**" that makes a whole component: before a slash it is, with that, (.*\/)?, else .+ */
static void parse_deep(struct parser *p)
{
    struct tt_glob *glob = p->glob;
    while (*p->at == '*')
        p->at++;
    if (*p->at != '/') {
        emit(glob, DEEP, 0, 0);
        emit_loop(glob, DEEP);
        p->start = false;
        return;
    }
    while (*p->at == '/')
        p->at++;
    if (!*p->at) {
        emit(glob, DEEP, 0, 0);
        emit_loop(glob, DEEP);
        emit(glob, CHAR, directory_mark, 0);
        return;
    }
    uint32_t option = emit(glob, FORK, 0, 0);
    glob->steps[option].a = here(glob);
    emit_loop(glob, DEEP);
    emit(glob, CHAR, '/', 0);
    glob->steps[option].b = here(glob);
}

static bool deep_here(const struct parser *p)
{
    if (!p->start || p->at[1] != '*')
        return false;
    const unsigned char *after = p->at;
    while (*after == '*')
        after++;
    return !*after || *after == '/' || (p->depth > 0 && (*after == ',' || *after == '}'));
}

static int class_char(struct parser *p, uint32_t *c)
{
    if (*p->at == '\\')
        p->at++;
    if (!*p->at)
        return bad(p, "'[' without its ']' (a bracket itself is written \\[)");
    *c = next_char(&p->at);
    return 0;
}

static int parse_class(struct parser *p)
{
    struct tt_glob *glob = p->glob;
    bool negated = p->at[1] == '!' || p->at[1] == '^';
    p->at += negated ? 2 : 1;
    size_t from = glob->range_count;
    for (bool first = true; first || *p->at != ']'; first = false) {
        struct range range = {0};
        if (p->at[0] == '[' && p->at[1] && strchr(":.=", p->at[1]))
            return bad(p, "named classes like [:alpha:] are not known (a bracket itself is \\[)");
        int rc = class_char(p, &range.first);
        if (rc < 0)
            return rc;
        range.last = range.first;
        if (p->at[0] == '-' && p->at[1] && p->at[1] != ']') {
            p->at++;
            rc = class_char(p, &range.last);
            if (rc < 0)
                return rc;
            if (range.last < range.first)
                return bad(p, "a range in brackets runs backwards");
        }
        if (glob->range_count == glob->range_room) {
            glob->range_room = glob->range_room ? glob->range_room * 2 : 16;
            glob->ranges = tt_reallocarray(glob->ranges, glob->range_room, sizeof *glob->ranges);
        }
        glob->ranges[glob->range_count++] = range;
    }
    p->at++;
    uint32_t set = emit(glob, SET, (uint32_t)from, (uint32_t)glob->range_count);
    glob->steps[set].negated = negated;
    return 0;
}

static int parse_part(struct parser *p);

/* {x,y,z}: fork(x, more); x; jump(end); more: fork(y, …) … */
static int parse_choice(struct parser *p)
{
    struct tt_glob *glob = p->glob;
    bool start = p->start, starts = true;
    if (++p->depth > max_nesting)
        return bad(p, "too many braces inside one another");
    uint32_t last_jump = UINT32_MAX; /* chained through a until the end is known */
    do {
        p->at++;
        uint32_t fork = emit(glob, FORK, here(glob) + 1, 0);
        p->start = start;
        int rc = parse_part(p);
        if (rc < 0)
            return rc;
        starts = starts && p->start;
        last_jump = emit(glob, JUMP, last_jump, 0);
        glob->steps[fork].b = here(glob);
    } while (*p->at == ',');
    if (*p->at != '}')
        return bad(p, "'{' without its '}' (a brace itself is written \\{)");
    p->at++;
    p->depth--;
    p->start = starts;
    /* after the last alternative there is none: its fork has one way only */
    emit(glob, SET, 0, 0);
    while (last_jump != UINT32_MAX) {
        uint32_t before = glob->steps[last_jump].a;
        glob->steps[last_jump].a = here(glob);
        last_jump = before;
    }
    return 0;
}

/* A slash at the end asks for a directory; at the end of an alternative it may also go on. */
static void emit_slash(struct parser *p)
{
    struct tt_glob *glob = p->glob;
    while (*p->at == '/')
        p->at++;
    if (*p->at && p->depth > 0 && (*p->at == ',' || *p->at == '}')) {
        uint32_t fork = emit(glob, FORK, here(glob) + 1, here(glob) + 3);
        emit(glob, CHAR, '/', 0);
        emit(glob, JUMP, fork + 4, 0);
        emit(glob, CHAR, directory_mark, 0);
    } else {
        emit(glob, CHAR, *p->at ? '/' : directory_mark, 0);
    }
}

static int parse_char(struct parser *p)
{
    if (*p->at == '\\' && !*++p->at)
        return bad(p, "ends with a lone backslash");
    uint32_t c = next_char(&p->at);
    p->start = c == '/';
    if (p->start)
        emit_slash(p);
    else
        emit(p->glob, CHAR, c, 0);
    return 0;
}

/* Up to the end, or in braces up to ',' or '}'. */
static int parse_part(struct parser *p)
{
    int rc = 0;
    while (rc == 0 && *p->at && !(p->depth > 0 && (*p->at == ',' || *p->at == '}'))) {
        if (p->start && p->at[0] == '.' && (p->at[1] == '/' || !p->at[1])) {
            p->at++;
            while (*p->at == '/')
                p->at++;
        } else if (*p->at == '*' && deep_here(p)) {
            parse_deep(p);
        } else if (*p->at == '*') {
            while (*p->at == '*')
                p->at++;
            emit_loop(p->glob, ANY);
            p->start = false;
        } else if (*p->at == '?') {
            p->at++;
            emit(p->glob, ANY, 0, 0);
            p->start = false;
        } else if (*p->at == '[') {
            rc = parse_class(p);
            p->start = false;
        } else if (*p->at == '{') {
            rc = parse_choice(p);
        } else if (*p->at == '/' && p->start) {
            p->at++;
        } else {
            rc = parse_char(p);
        }
    }
    return rc;
}

static bool goes_up(const char *pattern)
{
    for (const char *at = pattern; (at = strstr(at, "..")); at++)
        if ((at == pattern || at[-1] == '/') && (!at[2] || at[2] == '/'))
            return true;
    return false;
}

static int compile(struct tt_glob *glob, const char *pattern, size_t index, struct tt_error **err)
{
    struct parser p = {glob, (const unsigned char *)pattern, pattern, 0, true, err};
    if (strlen(pattern) > max_pattern)
        return tt_fail(err, TT_INVALID, "pattern %.60s…: longer than 64 KiB", pattern);
    if (!*pattern)
        return tt_fail(err, TT_INVALID, "an empty pattern");
    if (*pattern == '/')
        return bad(&p, "is absolute; patterns are relative to a directory");
    if (goes_up(pattern))
        return bad(&p, "\"..\" would leave the directory");
    int rc = parse_part(&p);
    emit(glob, MATCH, (uint32_t)index, 0);
    return rc;
}

int tt_glob_new(struct tt_glob **out, const char *const *patterns, size_t count,
                struct tt_error **err)
{
    struct tt_glob *glob = tt_zalloc(sizeof *glob);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        uint32_t fork = emit(glob, FORK, here(glob) + 1, 0);
        rc = compile(glob, patterns[i], i, err);
        glob->steps[fork].b = here(glob);
    }
    emit(glob, SET, 0, 0); /* nothing more */
    if (rc < 0) {
        tt_glob_free(glob);
        return rc;
    }
    glob->words = (glob->count + 63) / 64;
    glob->stack = tt_reallocarray(NULL, 2 * glob->count, sizeof *glob->stack);
    glob->now = tt_reallocarray(NULL, glob->words, sizeof *glob->now);
    glob->then = tt_reallocarray(NULL, glob->words, sizeof *glob->then);
    *out = glob;
    return 0;
}

void tt_glob_free(struct tt_glob *glob)
{
    if (!glob)
        return;
    free(glob->steps);
    free(glob->ranges);
    free(glob->stack);
    free(glob->now);
    free(glob->then);
    free(glob);
}

/* --- running --- */

/* Adds a position, and what it forks and jumps to. Every step is put on the stack at most once by
 * each of the two that can lead to it from a fork, so twice the steps is room enough. */
static void add(struct tt_glob *glob, uint64_t *set, uint32_t first)
{
    size_t top = 0;
    glob->stack[top++] = first;
    while (top > 0) {
        uint32_t at = glob->stack[--top];
        if (set[at / 64] >> at % 64 & 1)
            continue;
        set[at / 64] |= (uint64_t)1 << at % 64;
        const struct step *step = &glob->steps[at];
        if (step->what == FORK)
            glob->stack[top++] = step->b;
        if (step->what == FORK || step->what == JUMP)
            glob->stack[top++] = step->a;
    }
}

static bool in_set(const struct tt_glob *glob, const struct step *step, uint32_t c)
{
    for (uint32_t i = step->a; i < step->b; i++)
        if (c >= glob->ranges[i].first && c <= glob->ranges[i].last)
            return c != '/' && !step->negated;
    return c != '/' && step->negated;
}

static bool takes(const struct tt_glob *glob, const struct step *step, uint32_t c, bool link)
{
    if (c == directory_mark)
        return step->what == CHAR && step->a == c;
    switch (step->what) {
    case CHAR:
        return step->a == c;
    case ANY:
        return c != '/';
    case DEEP:
        return !link;
    case SET:
        return in_set(glob, step, c);
    default:
        return false;
    }
}

/* Carries glob->now over one character. */
static void advance(struct tt_glob *glob, uint32_t c, bool link)
{
    memset(glob->then, 0, glob->words * sizeof *glob->then);
    for (size_t word = 0; word < glob->words; word++)
        for (uint64_t bits = glob->now[word]; bits; bits &= bits - 1) {
            uint32_t at = (uint32_t)(word * 64 + (size_t)__builtin_ctzll(bits));
            if (takes(glob, &glob->steps[at], c, link))
                add(glob, glob->then, at + 1);
        }
    uint64_t *swap = glob->now;
    glob->now = glob->then;
    glob->then = swap;
}

static void run(struct tt_glob *glob, const char *text, bool link)
{
    for (const unsigned char *at = (const unsigned char *)text; *at;)
        advance(glob, next_char(&at), link);
}

/* True when a pattern matches at glob->now; sets hits, or stops at the first. */
static bool matched(const struct tt_glob *glob, bool *hits)
{
    bool any = false;
    for (size_t word = 0; word < glob->words; word++)
        for (uint64_t bits = glob->now[word]; bits; bits &= bits - 1) {
            const struct step *step = &glob->steps[word * 64 + (size_t)__builtin_ctzll(bits)];
            if (step->what != MATCH)
                continue;
            any = true;
            if (!hits)
                return true;
            hits[step->a] = true;
        }
    return any;
}

/* A directory also matches where the pattern wants one. */
static bool matched_here(struct tt_glob *glob, bool directory, bool *hits)
{
    bool any = matched(glob, hits);
    if (directory && (!any || hits)) {
        advance(glob, directory_mark, false);
        any |= matched(glob, hits);
    }
    return any;
}

bool tt_glob_match(struct tt_glob *glob, const char *path, bool directory, bool *hits)
{
    tt_glob_top(glob, glob->now);
    run(glob, path, false);
    return matched_here(glob, directory, hits);
}

size_t tt_glob_place_size(const struct tt_glob *glob)
{
    return glob->words * sizeof *glob->now;
}

void tt_glob_top(struct tt_glob *glob, void *place)
{
    memset(place, 0, tt_glob_place_size(glob));
    add(glob, place, 0);
}

bool tt_glob_match_in(struct tt_glob *glob, const void *place, const char *name, bool directory)
{
    memcpy(glob->now, place, tt_glob_place_size(glob));
    run(glob, name, false);
    return matched_here(glob, directory, NULL);
}

bool tt_glob_enter(struct tt_glob *glob, const void *place, const char *name, bool link,
                   void *below)
{
    memcpy(glob->now, place, tt_glob_place_size(glob));
    run(glob, name, link);
    advance(glob, '/', link);
    memcpy(below, glob->now, tt_glob_place_size(glob));
    for (size_t at = 0; at < glob->count; at++) {
        const struct step *step = &glob->steps[at];
        bool consumes = step->what == ANY || step->what == DEEP ||
                        (step->what == CHAR && step->a != directory_mark) ||
                        (step->what == SET && (step->negated || step->b > 0));
        if (consumes && (glob->now[at / 64] >> at % 64 & 1))
            return true;
    }
    return false;
}

size_t tt_glob_plain(const char *pattern)
{
    size_t plain = 0;
    for (size_t i = 0; pattern[i] && !strchr("*?[{\\", pattern[i]); i++)
        if (pattern[i] == '/')
            plain = i + 1;
    return plain;
}

/* How much of the leading components a and b share, with the last one's slash. */
static size_t shared(const char *a, const char *b, size_t limit)
{
    size_t same = 0;
    for (size_t i = 0; i < limit && a[i] == b[i]; i++)
        if (a[i] == '/')
            same = i + 1;
    return same;
}

/* Components that are no names ("", ".") make the walk start at the root: it sorts them out. */
static bool only_names(const char *path, size_t length)
{
    for (size_t from = 0; from < length;) {
        size_t size = strcspn(path + from, "/");
        if (size == 0 || (size == 1 && path[from] == '.'))
            return false;
        from += size + 1;
    }
    return true;
}

char *tt_glob_start(struct tt_glob *glob, const char *const *patterns, size_t count, void *place)
{
    size_t length = count ? tt_glob_plain(patterns[0]) : 0;
    for (size_t i = 1; i < count; i++)
        length = shared(patterns[0], patterns[i],
                        length < tt_glob_plain(patterns[i]) ? length : tt_glob_plain(patterns[i]));
    tt_glob_top(glob, place);
    if (length == 0 || !only_names(patterns[0], length))
        return NULL;
    memcpy(glob->now, place, tt_glob_place_size(glob));
    char *prefix = tt_strndup(patterns[0], length);
    run(glob, prefix, true);
    memcpy(place, glob->now, tt_glob_place_size(glob));
    prefix[length - 1] = 0;
    return prefix;
}
