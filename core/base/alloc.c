#include "core/base/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *need(void *got)
{
    if (!got) {
        static const char text[] = "tutti: out of memory\n";
        if (write(2, text, sizeof text - 1) < 0)
            _exit(71);
        _exit(70);
    }
    return got;
}

void *tt_alloc(size_t size)
{
    return need(malloc(size ? size : 1));
}

void *tt_zalloc(size_t size)
{
    return need(calloc(1, size ? size : 1));
}

void *tt_realloc(void *old, size_t size)
{
    return need(realloc(old, size ? size : 1));
}

void *tt_reallocarray(void *old, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        need(NULL);
    return tt_realloc(old, count * size);
}

char *tt_strdup(const char *text)
{
    return need(strdup(text));
}

char *tt_strndup(const char *text, size_t length)
{
    return need(strndup(text, length));
}

char *tt_vformat(const char *format, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    return need(text);
}

char *tt_format(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = tt_vformat(format, args);
    va_end(args);
    return text;
}
