#include "pipeline/nearest.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 64 }; /* longer words are nobody's typing error */

static int least(int a, int b, int c)
{
    const int ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Insertions, deletions and substitutions that turn a into b, row by row. */
static int edit_distance(const char *a, const char *b)
{
    const size_t n = strlen(b);
    int          row[LONGEST + 1];

    if (n > LONGEST) return INT_MAX;
    for (size_t j = 0; j <= n; j++) row[j] = (int)j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        int diagonal = row[0];

        row[0] = (int)i;
        for (size_t j = 1; j <= n; j++) {
            const int above = row[j];

            row[j]   = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[n];
}

const char *sd_nearest(const char *word, const char *const *known)
{
    const char *best     = NULL;
    int         distance = (int)strlen(word) / 2 + 1;

    if (strlen(word) > LONGEST) return NULL;
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
