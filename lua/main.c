#include <stdio.h>

int main(void)
{
    puts("tutti " TT_VERSION);
    return 0;
}
