/* Runs a fuzz target without libFuzzer: NAME SEEDS [INPUTS [RANDOM_SEED]]
 *
 * A target is a tests/fuzz/fuzz_NAME.c with libFuzzer's one function. This driver gives it every
 * file of the folder SEEDS, and then INPUTS (20000) mutations of them, always the same ones for the
 * same seed. The input at work is kept in the file that FUZZ_LAST names (if set), for after a
 * crash: `NAME FILE 0` then runs that one alone. With clang, -DTUTTI_LIBFUZZER=ON builds the
 * targets against libFuzzer instead, for runs without an end. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { max_seeds = 256, max_size = 65536 };

struct input {
    size_t size;
    uint8_t bytes[max_size];
};

static struct input *seeds[max_seeds];
static unsigned seed_count;
static int last = -1; /* the file of FUZZ_LAST */
static uint64_t state;

static uint64_t random_below(uint64_t limit)
{
    state ^= state << 13; /* xorshift64 */
    state ^= state >> 7;
    state ^= state << 17;
    return limit ? state % limit : 0;
}

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static void load(const char *path)
{
    FILE *in = fopen(path, "rb");
    struct input *seed = calloc(1, sizeof *seed);
    if (!in || !seed)
        fail(path);
    seed->size = fread(seed->bytes, 1, max_size, in);
    fclose(in);
    seeds[seed_count++] = seed;
}

static void load_all(const char *path)
{
    struct dirent **names;
    struct stat info;
    if (stat(path, &info) < 0)
        fail(path);
    if (!S_ISDIR(info.st_mode)) {
        load(path);
        return;
    }
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0)
        fail(path);
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && seed_count < max_seeds)
            load(file);
        free(names[i]);
    }
    free(names);
}

/* Replaces `old` bytes at `at` by `size` others, as far as there is room. */
static void exchange(struct input *in, size_t at, size_t old, const uint8_t *bytes, size_t size)
{
    size_t rest = in->size - at - old;
    if (at + size + rest > max_size)
        return;
    memmove(in->bytes + at + size, in->bytes + at + old, rest);
    memcpy(in->bytes + at, bytes, size);
    in->size = at + size + rest;
}

static void mutate(struct input *in)
{
    static const uint8_t odd[] = {0,   1,   '\n', '"',  '\\', '{', ' ',
                                  ':', '-', 0x7f, 0x80, 0xc0, 0xff};
    size_t at = random_below(in->size + 1), rest = in->size - at;
    uint8_t some[64];
    const struct input *other = seeds[random_below(seed_count)];
    size_t from = random_below(other->size), length = random_below(other->size - from + 1);
    switch (random_below(7)) {
    case 0: /* a bit */
        if (rest)
            in->bytes[at] ^= (uint8_t)(1u << random_below(8));
        break;
    case 1: /* a byte that parsers care about */
        some[0] = odd[random_below(sizeof odd)];
        exchange(in, at, random_below(2) && rest ? 1 : 0, some, 1);
        break;
    case 2: /* less */
        exchange(in, at, random_below(rest + 1), some, 0);
        break;
    case 3: /* a run of one byte */
        length = random_below(sizeof some) + 1;
        memset(some, (int)random_below(256), length);
        exchange(in, at, 0, some, length);
        break;
    case 4: /* a piece of a seed, put in or over */
        exchange(in, at, random_below(2) ? random_below(rest + 1) : 0, other->bytes + from, length);
        break;
    case 5: /* a piece of itself again */
        length = random_below(rest < sizeof some ? rest + 1 : sizeof some);
        memcpy(some, in->bytes + at, length);
        exchange(in, random_below(in->size + 1), 0, some, length);
        break;
    default: /* a number */
        length = (size_t)snprintf((char *)some, sizeof some, "%lld",
                                  (long long)(random_below(2) ? random_below(300) : state));
        exchange(in, at, 0, some, length);
    }
}

/* The target gets a copy of its own size, so that a read past the end is seen. */
static void try_input(const struct input *in)
{
    uint8_t *copy = malloc(in->size ? in->size : 1);
    if (!copy)
        fail("malloc");
    memcpy(copy, in->bytes, in->size);
    if (last >= 0 &&
        (pwrite(last, in->bytes, in->size, 0) < 0 || ftruncate(last, (off_t)in->size) < 0))
        fail("FUZZ_LAST");
    LLVMFuzzerTestOneInput(copy, in->size);
    free(copy);
}

int main(int argc, char **argv)
{
    static struct input work;
    long inputs = argc > 2 ? strtol(argv[2], NULL, 10) : 20000;
    state = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    state = state * 0x9e3779b97f4a7c15u | 1;
    if (argc < 2) {
        fprintf(stderr, "usage: %s SEEDS [INPUTS [RANDOM_SEED]]\n", argv[0]);
        return 2;
    }
    load_all(argv[1]);
    if (!seed_count) {
        fprintf(stderr, "%s: no seeds in %s\n", argv[0], argv[1]);
        return 2;
    }
    const char *path = getenv("FUZZ_LAST");
    if (path && (last = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0)
        fail(path);
    for (unsigned i = 0; i < seed_count; i++)
        try_input(seeds[i]);
    for (long i = 0; i < inputs; i++) {
        work = *seeds[random_below(seed_count)];
        for (uint64_t changes = random_below(8) + 1; changes > 0; changes--)
            mutate(&work);
        try_input(&work);
    }
    for (unsigned i = 0; i < seed_count; i++)
        free(seeds[i]);
    printf("%u seeds, %ld mutations\n", seed_count, inputs);
    return 0;
}
