#include "solvers/trajectory.h"

#include <math.h>
#include <stdbool.h>

#include "solvers/base/memory.h"

/* Derived in docs/hygiene.md. */
enum { LEAST_BLOCKS = 8 };
static const double CHANCE = 4.0, LEAST_MEMORY = 0.5, LEAST_GAIN = 0.1, NARROW = 0.75;
static const double HASTE          = 10.0;
static const double RIGHT_OF_NOISE = 0.70710678118654752, VOTES = 0.75;

typedef struct {
    const sd_trajectory *t;
    sd_verdict          *out;
    double              *gram; /* n x n, over the blocks that vary everywhere  */
    bool                *used; /* n_blocks: those                              */
    int64_t              n_used, m;
    int64_t             *label; /* n: of its group of related members           */
    int64_t             *kept;  /* m members that are still in the series       */
    bool                *heard; /* n: its best other place has been voted on    */
} judge;

static double dot(int64_t n, const float *a, const float *b)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static float *block_of(const judge *g, int64_t member, int64_t block)
{
    const sd_trajectory *t = g->t;
    return t->value + (member * t->n_blocks + block) * t->n_values;
}

/* ---- preparing ---- */

/* Returns the sum of squares about the mean, which it takes away. */
static double centre(int64_t n, float *x)
{
    double mean = 0, squares = 0;

    for (int64_t i = 0; i < n; i++) mean += (double)x[i];
    mean /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)((double)x[i] - mean);
        squares += (double)x[i] * (double)x[i];
    }
    return squares;
}

/* Every block weighs the same, whatever the size of its tensor's numbers. */
static void prepare_block(judge *g, int64_t block)
{
    const sd_trajectory *t   = g->t;
    double               sum = 0, least = INFINITY;

    for (int64_t a = 0; a < t->n; a++) {
        const double squares = centre(t->n_values, block_of(g, a, block));

        sum += squares;
        least = fmin(least, squares);
    }
    g->used[block] = isfinite(sum) && least > 0;
    if (!g->used[block]) return;
    g->n_used++;
    const double scale = sqrt((double)(t->n * t->n_values) / sum);
    for (int64_t a = 0; a < t->n; a++) {
        float *x = block_of(g, a, block);

        for (int64_t i = 0; i < t->n_values; i++) x[i] = (float)((double)x[i] * scale);
    }
}

static double product(const judge *g, int64_t a, int64_t b)
{
    double sum = 0;

    for (int64_t block = 0; block < g->t->n_blocks; block++)
        if (g->used[block])
            sum += dot(g->t->n_values, block_of(g, a, block), block_of(g, b, block));
    return sum;
}

static void prepare(judge *g)
{
    const int64_t n = g->t->n;

    for (int64_t block = 0; block < g->t->n_blocks; block++) prepare_block(g, block);
    for (int64_t a = 0; a < n; a++)
        for (int64_t b = 0; b <= a; b++) g->gram[a * n + b] = g->gram[b * n + a] = product(g, a, b);
}

static double correlation(const judge *g, int64_t a, int64_t b)
{
    const int64_t n = g->t->n;
    return g->gram[a * n + b] / sqrt(g->gram[a * n + a] * g->gram[b * n + b]);
}

/* ---- unrelated ---- */

/* The bound that a correlation of unrelated numbers does not reach. */
static double chance(const judge *g)
{
    return CHANCE / sqrt((double)(g->n_used * g->t->n_values));
}

/* Labels the groups of members that are related, perhaps through others, by their first one. */
static void label_groups(judge *g)
{
    const int64_t n = g->t->n;

    for (int64_t a = 0; a < n; a++) g->label[a] = a;
    for (int64_t a = 0; a < n; a++)
        for (int64_t b = 0; b < a; b++) {
            const int64_t from = g->label[a], to = g->label[b];

            if (from == to || correlation(g, a, b) <= chance(g)) continue;
            for (int64_t i = 0; i < n; i++)
                if (g->label[i] == from) g->label[i] = to;
        }
}

/* Label of the largest group; -1 when none is, or when it is a single member. */
static int64_t main_group(const judge *g)
{
    int64_t most = 1, label = -1;

    for (int64_t a = 0; a < g->t->n; a++) {
        int64_t size = 0;

        for (int64_t b = 0; b < g->t->n; b++) size += g->label[b] == a;
        if (size == most) label = -1;
        if (size > most) {
            most  = size;
            label = a;
        }
    }
    return label;
}

/* The next member of the group from j on in a direction, or -1. */
static int64_t next_of(const judge *g, int64_t group, int64_t j, int64_t direction)
{
    for (j += direction; j >= 0 && j < g->t->n; j += direction)
        if (g->label[j] == group) return j;
    return -1;
}

/* At an end of the series: its next member keeps so much in the next interval, of at least half the
 * length, that one more would not have lost everything; at the beginning, not even HASTE times as
 * fast. */
static bool memory_is_long(const judge *g, int64_t group, int64_t j, int64_t direction)
{
    const int64_t near = next_of(g, group, j, direction);
    const int64_t far  = near >= 0 ? next_of(g, group, near, direction) : -1;

    if (far < 0) return false;
    const int64_t to_near = (g->t->step[near] - g->t->step[j]) * direction;
    const int64_t onwards = (g->t->step[far] - g->t->step[near]) * direction;
    const double  memory  = correlation(g, near, far);
    if (memory < LEAST_MEMORY || to_near / 2 > onwards) return false;
    return direction < 0 || pow(memory, HASTE * (double)to_near / (double)onwards) > chance(g);
}

static void find_unrelated(judge *g)
{
    label_groups(g);
    const int64_t group = main_group(g);

    for (int64_t j = 0; j < g->t->n; j++) {
        bool stranger = false;

        if (group >= 0 && g->label[j] != group) {
            const int64_t before = next_of(g, group, j, -1), after = next_of(g, group, j, 1);

            stranger = before >= 0 && after >= 0
                           ? correlation(g, before, after) > 2 * chance(g)
                           : memory_is_long(g, group, j, before >= 0 ? -1 : 1);
        }
        if (stranger)
            g->out[j].place = SD_PLACE_UNRELATED;
        else
            g->kept[g->m++] = j;
    }
}

/* ---- elsewhere ---- */

/* <w_j - w_p, w_j - w_q> */
static double between(const judge *g, int64_t j, int64_t p, int64_t q)
{
    const int64_t n = g->t->n;
    const double *G = g->gram;
    return G[j * n + j] - G[j * n + p] - G[j * n + q] + G[p * n + q];
}

static double between_in(const judge *g, int64_t block, int64_t j, int64_t p, int64_t q)
{
    const float *w = block_of(g, j, block), *a = block_of(g, p, block), *b = block_of(g, q, block);
    double       sum = 0;

    for (int64_t i = 0; i < g->t->n_values; i++)
        sum += ((double)w[i] - (double)a[i]) * ((double)w[i] - (double)b[i]);
    return sum;
}

/* A member, the two around it (at an end the nearest two), and two others that it may lie between.
 */
typedef struct {
    int64_t j, before, after, p, q;
    double  gain;
} move;

/* The i-th of the kept members without the one at `skip`. */
static int64_t other(const judge *g, int64_t skip, int64_t i)
{
    return g->kept[i < skip ? i : i + 1];
}

static double nearness(const judge *g, int64_t j, int64_t p, int64_t q)
{
    return fmax(correlation(g, j, p), correlation(g, j, q));
}

/* The best place for the member at `at`; a gain of 0 when it is its own. */
static move best_place(const judge *g, int64_t at)
{
    const int64_t last = g->m - 3;
    const int64_t own  = at - 1 < 0 ? 0 : at - 1 > last ? last : at - 1;
    move best = {.j = g->kept[at], .before = other(g, at, own), .after = other(g, at, own + 1)};
    const double here = between(g, best.j, best.before, best.after);
    const double near = fmax(2 * chance(g), nearness(g, best.j, best.before, best.after));
    const double size = sqrt(between(g, best.j, best.before, best.before) *
                             between(g, best.j, best.after, best.after));

    for (int64_t i = 0; i <= last; i++) {
        const int64_t p = other(g, at, i), q = other(g, at, i + 1);
        const double  gain = here - between(g, best.j, p, q);

        if (i == own || gain <= LEAST_GAIN * size || gain <= best.gain ||
            nearness(g, best.j, p, q) < near)
            continue;
        best.gain = gain;
        best.p    = p;
        best.q    = q;
    }
    return best;
}

static bool blocks_agree(const judge *g, const move *to)
{
    int64_t votes = 0;

    for (int64_t b = 0; b < g->t->n_blocks; b++)
        votes += g->used[b] && between_in(g, b, to->j, to->before, to->after) >
                                   between_in(g, b, to->j, to->p, to->q);
    return (double)votes >= VOTES * (double)g->n_used;
}

static void leave_out(judge *g, int64_t member)
{
    int64_t kept = 0;

    for (int64_t i = 0; i < g->m; i++)
        if (g->kept[i] != member) g->kept[kept++] = g->kept[i];
    g->m = kept;
}

/* One after the other, the one that gains most first: it makes its neighbours look wrong as well.
 */
static void find_misplaced(judge *g)
{
    while (g->m >= 4) {
        move best = {.j = -1};

        for (int64_t at = 0; at < g->m; at++) {
            if (g->heard[g->kept[at]]) continue;
            const move to = best_place(g, at);
            if (to.gain > best.gain) best = to;
        }
        if (best.j < 0) return;
        if (blocks_agree(g, &best)) {
            g->out[best.j] = (sd_verdict){SD_PLACE_ELSEWHERE, best.p, best.q};
            leave_out(g, best.j);
        } else {
            g->heard[best.j] = true;
        }
    }
}

/* ---- detours ---- */

static double cosine(double both, double first, double second)
{
    return first > 0 && second > 0 ? both / sqrt(first * second) : 0;
}

static bool is_detour(const judge *g, int64_t i, int64_t j, int64_t k)
{
    int64_t votes = 0;

    if (cosine(between(g, j, i, k), between(g, j, i, i), between(g, j, k, k)) <= NARROW)
        return false;
    for (int64_t b = 0; b < g->t->n_blocks; b++)
        votes += g->used[b] && cosine(between_in(g, b, j, i, k), between_in(g, b, j, i, i),
                                      between_in(g, b, j, k, k)) > RIGHT_OF_NOISE;
    return (double)votes >= VOTES * (double)g->n_used;
}

static void find_detours(judge *g)
{
    for (int64_t at = 1; at + 1 < g->m; at++)
        if (is_detour(g, g->kept[at - 1], g->kept[at], g->kept[at + 1]))
            g->out[g->kept[at]].place = SD_PLACE_DETOUR;
}

sd_status sd_trajectory_judge(const sd_trajectory *t, sd_verdict *out)
{
    sd_status st = SD_OK;
    judge     g  = {.t = t, .out = out};

    for (int64_t j = 0; j < t->n; j++) out[j] = (sd_verdict){SD_PLACE_FITS, -1, -1};
    if (t->n < 3 || t->n_blocks < LEAST_BLOCKS) return SD_OK;
    SD_TRY(sd_alloc(t->n * t->n, sizeof *g.gram, &g.gram));
    SD_TRY(sd_alloc(t->n_blocks, sizeof *g.used, &g.used));
    SD_TRY(sd_alloc(t->n, sizeof *g.label, &g.label));
    SD_TRY(sd_alloc(t->n, sizeof *g.kept, &g.kept));
    SD_TRY(sd_alloc(t->n, sizeof *g.heard, &g.heard));
    prepare(&g);
    if (g.n_used < LEAST_BLOCKS) goto done;
    find_unrelated(&g);
    find_misplaced(&g);
    find_detours(&g);

done:
    sd_free(g.gram);
    sd_free(g.used);
    sd_free(g.label);
    sd_free(g.kept);
    sd_free(g.heard);
    return st;
}
