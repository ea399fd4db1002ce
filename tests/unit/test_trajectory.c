/* solvers/trajectory.h: made random walks, with noise, drift and forgetting; each fault at each
 * place. */
#include "solvers/trajectory.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "solvers/base/random.h"
#include "tests/support/check.h"

enum { BLOCKS = 12, VALUES = 512, SIZE = BLOCKS * VALUES, MOST = 16 };

static float   member[MOST][SIZE], stranger[SIZE];
static int64_t step[MOST];

static void normals(uint64_t row, double *out)
{
    const sd_random table = {7, 3};

    sd_random_normal(&table, row, 0, SIZE, out);
}

/* What a training run may look like. */
typedef struct {
    double keep;          /* of the weights in one interval (weight decay)        */
    double move, drift;   /* of a random step, and of one that is always the same */
    double noise, settle; /* on top; multiplied by `settle` from one to the next  */
    bool   geometric;     /* intervals double, and random steps grow with them    */
} kind;

static const kind kinds[] = {
    {1, 0.5, 0, 0, 1, false},      /* a random walk                                */
    {1, 0.3, 0, 0, 1, true},       /* with steps 0, 1, 2, 4, ...                   */
    {0.95, 0.4, 0.1, 0, 1, false}, /* with weight decay and drift                  */
    {0.98, 0.4, 0, 0.3, 1, false}, /* with noise                                   */
    {1, 0.4, 0.1, 0.5, 0.6, false} /* with noise that the end of training takes away */
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void make(const kind *k, int64_t n, uint64_t seed)
{
    static double w[SIZE], g[SIZE], direction[SIZE];
    double        noise = k->noise, stretch = 1;

    normals(seed * 100 + 98, w);
    normals(seed * 100 + 99, direction);
    for (int64_t s = 0; s < n; s++) {
        step[s] = k->geometric ? (s == 0 ? 0 : INT64_C(1) << (s - 1)) : 1000 * s;
        normals(seed * 100 + (uint64_t)s, g);
        for (int i = 0; s > 0 && i < SIZE; i++)
            w[i] = k->keep * w[i] + k->move * stretch * g[i] + k->drift * direction[i];
        if (k->geometric && s > 0) stretch = fmin(stretch * sqrt(2), 3);
        normals(seed * 100 + 50 + (uint64_t)s, g);
        for (int i = 0; i < SIZE; i++) member[s][i] = (float)(w[i] + noise * g[i] + 3);
        noise *= k->settle;
    }
    normals(seed * 100 + 97, w);
    for (int i = 0; i < SIZE; i++) stranger[i] = (float)(1.5 * w[i] + 3);
}

static sd_verdict verdict[MOST];

/* Judges the members that `order` lists, -1 for the stranger; returns how many do not fit. */
static int judge(int64_t n, const int *order)
{
    static float        value[MOST][SIZE];
    const sd_trajectory t   = {n, BLOCKS, VALUES, step, &value[0][0]};
    int                 bad = 0;

    for (int64_t i = 0; i < n; i++)
        memcpy(value[i], order[i] < 0 ? stranger : member[order[i]], sizeof value[i]);
    CHECK(sd_trajectory_judge(&t, verdict) == SD_OK);
    for (int64_t i = 0; i < n; i++) bad += verdict[i].place != SD_PLACE_FITS;
    return bad;
}

static void in_order(int64_t n, int *order)
{
    for (int i = 0; i < n; i++) order[i] = i;
}

/* No false alarm, whatever the length and wherever the series begins. */
static void clean(int64_t n)
{
    int order[MOST];

    for (int64_t length = 1; length <= n; length++) {
        in_order(length, order);
        CHECK(judge(length, order) == 0);
    }
}

/* No false alarm in any part of a series that forgets fast: what is far away in time has nothing in
 * common any more, and is nobody's stranger. */
static void parts_of_a_forgetful_run(uint64_t seed)
{
    static const kind forgetful = {0.6, 0.8, 0, 0, 1, false};
    enum { N = 12 };
    int     order[4];
    int64_t all[N];

    make(&forgetful, N, seed);
    memcpy(all, step, sizeof all);
    for (int part = 0; part < 1 << N; part++) {
        int n = 0;

        for (int i = 0; i < N && n < 4; i++)
            if ((part >> i) % 2 != 0) order[n++] = i;
        if (n < 3 || part >> (order[n - 1] + 1) != 0) continue; /* three or four of them */
        for (int i = 0; i < n; i++) step[i] = all[order[i]];
        CHECK(judge(n, order) == 0);
    }
}

/* Learning is fastest at first: what the first interval erases, while the next keeps 0.6, is no
 * stranger; at the end it is. */
static void forgotten_beginning(uint64_t seed)
{
    static const kind forgetful = {0.6, 0.8, 0, 0, 1, false};
    int               order[]   = {-1, 0, 1};

    make(&forgetful, 3, seed);
    CHECK(judge(3, order) == 0);
    order[0] = 0, order[1] = 1, order[2] = -1;
    CHECK(judge(3, order) == 1);
    CHECK(verdict[2].place == SD_PLACE_UNRELATED);
}

static void strangers(int64_t n)
{
    int order[MOST];

    for (int64_t at = 0; at < n; at++) {
        in_order(n, order);
        order[at] = -1;
        CHECK(judge(n, order) == 1);
        CHECK(verdict[at].place == SD_PLACE_UNRELATED);
    }
}

static bool names_one_of(int64_t first, int64_t last)
{
    bool named = false;

    for (int64_t i = first; i <= last; i++) named |= verdict[i].place != SD_PLACE_FITS;
    return named;
}

/* Whatever is exchanged over three places or more is found: one of the two, or of those between
 * them. Neighbours are too, but not the first two nor the last two. */
static void exchanged(int64_t n)
{
    int order[MOST];

    for (int64_t a = 0; a < n; a++)
        for (int64_t b = a + 3; b < n; b++) {
            in_order(n, order);
            order[a] = (int)b;
            order[b] = (int)a;
            CHECK(judge(n, order) >= 1);
            CHECK(names_one_of(a, b));
        }
    for (int64_t a = 1; a + 2 < n; a++) {
        in_order(n, order);
        order[a]     = (int)a + 1;
        order[a + 1] = (int)a;
        CHECK(judge(n, order) >= 1);
        CHECK(verdict[a].place == SD_PLACE_ELSEWHERE || verdict[a + 1].place == SD_PLACE_ELSEWHERE);
    }
}

/* A member with much noise of its own sees its neighbours under a narrow angle. */
static void detour(int64_t n)
{
    static double g[SIZE];
    int           order[MOST];

    in_order(n, order);
    normals(4242, g);
    for (int i = 0; i < SIZE; i++) member[n / 2][i] += (float)(4 * g[i]);
    CHECK(judge(n, order) == 1);
    CHECK(verdict[n / 2].place == SD_PLACE_DETOUR);
}

/* Numbers that never change, or hardly any, give no verdict. */
static void nothing_to_judge(void)
{
    int order[MOST];

    make(&kinds[0], 6, 1);
    in_order(6, order);
    for (int s = 1; s < 6; s++)
        memset(&member[s][5 * VALUES], 0,
               (BLOCKS - 5) * VALUES * sizeof(float)); /* 5 blocks left */
    order[3] = -1;
    CHECK(judge(6, order) == 0);
    make(&kinds[0], 3, 1);
    order[0] = 0, order[1] = -1;
    CHECK(judge(2, order) == 0); /* of two, none is the stranger */
}

int main(void)
{
    for (int k = 0; k < KINDS; k++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            make(&kinds[k], 9, seed + 10 * (uint64_t)k);
            clean(9);
            strangers(9);
            exchanged(9);
            detour(9);
        }
    for (uint64_t seed = 91; seed < 94; seed++) {
        parts_of_a_forgetful_run(seed);
        forgotten_beginning(seed);
    }
    nothing_to_judge();
    return REPORT();
}
