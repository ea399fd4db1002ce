#include <stdio.h>

int main(void)
{
    puts("singdef " SD_VERSION);
    return 0;
}
