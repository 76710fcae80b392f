#include "core/base/suggest.h"

#include <stdint.h>
#include <string.h>

enum { longest = 64 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t tt_name_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > longest || m > longest)
        return SIZE_MAX;
    size_t rows[3][longest + 1];
    size_t *above = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = least(last[j], now[j - 1]) + 1;
            now[j] = least(now[j], last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], above[j - 2] + 1);
        }
        size_t *oldest = above;
        above = last;
        last = now;
        now = oldest;
    }
    return last[m];
}

void tt_suggest_try(struct tt_suggest *suggest, const char *name)
{
    size_t length = strlen(suggest->wanted);
    size_t allowed = length < 3 ? 1 : length < 6 ? 2 : 3;
    size_t other = strlen(name);
    if ((other > length ? other - length : length - other) > allowed)
        return;
    size_t distance = tt_name_distance(suggest->wanted, name);
    if (distance <= allowed && distance < length &&
        (!suggest->best || distance < suggest->distance)) {
        suggest->best = name;
        suggest->distance = distance;
    }
}
