/* Numbers in text from outside. Pure. */
#ifndef TT_NUMBER_H
#define TT_NUMBER_H

#include <limits.h>
#include <stdlib.h>

/* The decimal number that the text is, 0 to INT_MAX; -1 when it is none. */
static inline int tt_number(const char *text)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -1;
    unsigned long value = strtoul(text, &end, 10);
    return *end || value > INT_MAX ? -1 : (int)value;
}

#endif
