#include "pipeline/nearest.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 64 }; /* longer words are nobody's typing error */

static int lesser(int a, int b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, substitutions and swaps of neighbours that turn a into b. */
static int edit_distance(const char *a, const char *b)
{
    const size_t m = strlen(a), n = strlen(b);
    int          d[LONGEST + 1][LONGEST + 1]; /* of the first i letters of a and j of b */

    if (m > LONGEST || n > LONGEST) return INT_MAX;
    for (size_t i = 0; i <= m; i++) d[i][0] = (int)i;
    for (size_t j = 0; j <= n; j++) d[0][j] = (int)j;
    for (size_t i = 1; i <= m; i++)
        for (size_t j = 1; j <= n; j++) {
            d[i][j] = lesser(lesser(d[i - 1][j], d[i][j - 1]) + 1,
                             d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = lesser(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[m][n];
}

const char *sd_nearest(const char *word, const char *const *known)
{
    const char *best     = NULL;
    int         distance = (int)strlen(word) / 2 + 1;

    for (; *known != NULL; known++) {
        const int d = edit_distance(word, *known);

        if (d < distance) {
            distance = d;
            best     = *known;
        }
    }
    return best;
}

const char *sd_nearest_hint(const char *word, const char *const *known, char *buffer, int size)
{
    const char *best = sd_nearest(word, known);
    int         used = 0;

    if (best != NULL) {
        snprintf(buffer, (size_t)size, "; did you mean '%s'?", best);
        return buffer;
    }
    used = snprintf(buffer, (size_t)size, "; known:");
    for (; *known != NULL && used < size; known++)
        used += snprintf(buffer + used, (size_t)(size - used), " %s", *known);
    return buffer;
}
