#include "solvers/angle.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "solvers/base/memory.h"
#include "solvers/base/random.h"

static const double PI = 3.14159265358979323846;

enum { NO_CHANNEL = -1 };

/* A vector to be read as a unit vector, with one channel taken out or none. */
typedef struct {
    const double *x;
    int64_t       without;
    double        peak; /* largest magnitude: squares of x / peak neither overflow nor vanish */
    double        norm; /* |x| / peak; NaN when x is 0 or not finite                          */
} direction;

static double entry(const direction *e, int64_t i)
{
    return i == e->without ? 0 : e->x[i] / e->peak / e->norm;
}

static direction direction_of(int64_t d, const double *x, int64_t without)
{
    direction e   = {x, without, 0, 1};
    double    sum = 0;

    for (int64_t i = 0; i < d; i++)
        if (i != without && !(fabs(x[i]) <= e.peak)) e.peak = fabs(x[i]); /* a NaN stays */
    if (!(e.peak > 0 && isfinite(e.peak))) {
        e.norm = NAN;
        return e;
    }
    for (int64_t i = 0; i < d; i++) sum += entry(&e, i) * entry(&e, i);
    e.norm = sqrt(sum);
    return e;
}

static double degrees(double radians)
{
    return radians * (180 / PI);
}

/* ---- angles ---- */

static double angle_between(int64_t d, const direction *a, const direction *b)
{
    double minus = 0, plus = 0;

    if (isnan(a->norm) || isnan(b->norm)) return NAN;
    for (int64_t i = 0; i < d; i++) {
        const double x = entry(a, i), y = entry(b, i);

        minus += (x - y) * (x - y);
        plus += (x + y) * (x + y);
    }
    return degrees(2 * atan2(sqrt(fmin(minus, plus)), sqrt(fmax(minus, plus))));
}

double sd_acute_angle(int64_t d, const double *a, const double *b)
{
    const direction from = direction_of(d, a, NO_CHANNEL), to = direction_of(d, b, NO_CHANNEL);

    return angle_between(d, &from, &to);
}

double sd_deflated_angle(int64_t d, const double *a, const double *b, int64_t channel)
{
    const direction from = direction_of(d, a, channel), to = direction_of(d, b, channel);

    return angle_between(d, &from, &to);
}

static double cosine(int64_t d, const direction *a, const direction *b)
{
    double sum = 0;

    for (int64_t i = 0; i < d; i++) sum += entry(a, i) * entry(b, i);
    return sum;
}

double sd_cosine(int64_t d, const double *a, const double *b)
{
    const direction from = direction_of(d, a, NO_CHANNEL), to = direction_of(d, b, NO_CHANNEL);

    if (isnan(from.norm) || isnan(to.norm)) return NAN;
    return fmax(-1, fmin(1, cosine(d, &from, &to)));
}

double sd_axis_angle(int64_t d, const double *e, int64_t channel)
{
    const direction from = direction_of(d, e, NO_CHANNEL);
    double          rest = 0;

    if (isnan(from.norm)) return NAN;
    for (int64_t i = 0; i < d; i++)
        if (i != channel) rest += entry(&from, i) * entry(&from, i);
    return degrees(atan2(sqrt(rest), fabs(entry(&from, channel))));
}

double sd_spread(int64_t n, int64_t d, const double *vectors)
{
    double sum = 0;

    if (n < 2) return NAN;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < i; k++) sum += sd_acute_angle(d, vectors + i * d, vectors + k * d);
    return sum / (0.5 * (double)n * (double)(n - 1));
}

/* ---- shape of one direction ---- */

bool sd_normalise(int64_t d, double *x)
{
    const direction e = direction_of(d, x, NO_CHANNEL);

    if (isnan(e.norm)) return false;
    for (int64_t i = 0; i < d; i++) x[i] = entry(&e, i);
    return true;
}

int64_t sd_top_channel(int64_t d, const double *e)
{
    int64_t top = 0;

    for (int64_t i = 1; i < d; i++)
        if (fabs(e[i]) > fabs(e[top])) top = i;
    return top;
}

double sd_orient(int64_t d, double *x)
{
    const double sign = x[sd_top_channel(d, x)] < 0 ? -1 : 1;

    for (int64_t i = 0; i < d && sign < 0; i++) x[i] = -x[i];
    return sign;
}

double sd_participation(int64_t d, const double *e)
{
    const direction unit = direction_of(d, e, NO_CHANNEL);
    double          sum  = 0;

    if (isnan(unit.norm)) return NAN;
    for (int64_t i = 0; i < d; i++) {
        const double square = entry(&unit, i) * entry(&unit, i);
        sum += square * square;
    }
    return 1 / sum;
}

/* ---- chance ---- */

/*
 * The continued fraction of the incomplete beta function, by the method of Lentz:
 * I_x(a, b) = x^a (1 - x)^b / (a B(a, b)) * fraction. It converges fast for x < (a + 1)/(a + b +
 * 2).
 */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double       c = 1, d = 1 - (a + b) * x / (a + 1);

    if (fabs(d) < tiny) d = tiny;
    d               = 1 / d;
    double fraction = d;
    for (int m = 1; m <= 1000; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd  = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));

        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        fraction *= d * (fabs(c) < tiny ? tiny : c);
        d                   = 1 + odd * d;
        c                   = 1 + odd / c;
        d                   = 1 / (fabs(d) < tiny ? tiny : d);
        const double change = d * (fabs(c) < tiny ? tiny : c);

        fraction *= change;
        if (fabs(change - 1) < 1e-16) break;
    }
    return fraction;
}

/* log of x^a (1 - x)^b / (a B(a, b)), from the logarithms of x and 1 - x. */
static double log_beta_front(double a, double b, double log_x, double log_rest)
{
    return a * log_x + b * log_rest + lgamma(a + b) - lgamma(a) - lgamma(b) - log(a);
}

double sd_log10_chance(int64_t d, double angle_deg)
{
    if (d < 1 || !(angle_deg >= 0 && angle_deg <= 90)) return NAN;
    if (d == 1 || angle_deg == 90) return 0;
    if (angle_deg == 0) return -INFINITY;

    const double angle = angle_deg * (PI / 180), a = 0.5 * (double)(d - 1), b = 0.5;
    const double sine = sin(angle), cosine_ = cos(angle), x = sine * sine;
    const double log_x = 2 * log(sine), log_rest = 2 * log(cosine_);

    if (x < (a + 1) / (a + b + 2))
        return (log_beta_front(a, b, log_x, log_rest) + log(beta_fraction(a, b, x))) / log(10);
    /* the other side: 1 - I_(1-x)(b, a) */
    const double rest =
        exp(log_beta_front(b, a, log_rest, log_x)) * beta_fraction(b, a, cosine_ * cosine_);
    return log1p(-rest) / log(10);
}

/* |cos| of unit vectors, b with channels permuted and signs flipped as draw number `draw` says. */
static double permuted_cosine(int64_t d, const double *a, const double *b, uint64_t seed,
                              uint64_t draw, int64_t *order)
{
    const sd_random places = {seed, 0}, signs = {seed, 1};
    uint64_t        flips = 0;
    double          sum   = 0;

    for (int64_t i = 0; i < d; i++) order[i] = i;
    for (int64_t i = 0; i < d; i++) { /* Fisher and Yates, from the front: place i is drawn now */
        const int64_t k     = i + sd_random_below(&places, draw, i, d - i);
        const int64_t taken = order[k];

        if (i % 64 == 0) flips = sd_random_bits(&signs, draw, i / 64);
        order[k] = order[i];
        sum += (flips >> (i % 64) & 1 ? -1 : 1) * a[i] * b[taken];
    }
    return fabs(sum);
}

sd_status sd_permuted_chance(int64_t d, const double *a, const double *b, int64_t draws,
                             uint64_t seed, double *out)
{
    /* Equal cosines differ by rounding when the sum is taken in another order. */
    const double slack = 1e-12, seen = fabs(sd_cosine(d, a, b));
    sd_status    st    = SD_OK;
    int64_t     *order = NULL, hits = 0;
    double      *unit_a = NULL, *unit_b = NULL;

    SD_REQUIRE(draws >= 1 && d >= 1, SD_ERR_INTERNAL, "%" PRId64 " draws in dimension %" PRId64,
               draws, d);
    SD_TRY(sd_alloc(d, sizeof *order, &order));
    SD_TRY(sd_alloc(d, sizeof *unit_a, &unit_a));
    SD_TRY(sd_alloc(d, sizeof *unit_b, &unit_b));
    memcpy(unit_a, a, (size_t)d * sizeof *a);
    memcpy(unit_b, b, (size_t)d * sizeof *b);
    sd_normalise(d, unit_a);
    sd_normalise(d, unit_b);
    for (int64_t k = 0; k < draws && !isnan(seen); k++)
        hits += permuted_cosine(d, unit_a, unit_b, seed, (uint64_t)k, order) >= seen - slack;
    *out = isnan(seen) ? NAN : (double)(1 + hits) / (double)(1 + draws);
done:
    sd_free(order);
    sd_free(unit_a);
    sd_free(unit_b);
    return st;
}
