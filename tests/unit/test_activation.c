/* The fast exponential over the whole range of float, and the activations made of it. */
#include <float.h>
#include <stdlib.h>

#include "solvers/forward/activation.h"
#include "solvers/forward/fast_exp.h"
#include "tests/support/check.h"

static float float_of(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* distance in units in the last place of `want`, which for subnormals is the smallest one */
static double units(float got, double want)
{
    const float  nearest = (float)want;
    const double unit    = nearest < FLT_MIN ? 0x1p-149 : ldexp(1, ilogb(nearest) - 23);

    return fabs((double)got - want) / unit;
}

/* Every 1009th float of either sign; exp() in double is right to far less than a unit of float. */
static void exponential_is_within_two_units_everywhere(void)
{
    const double largest = FLT_MAX;
    double       worst   = 0;

    for (uint32_t sign = 0; sign <= 1; sign++) {
        for (uint32_t bits = 0; bits <= 0x7f800000u; bits += 1009) {
            const float  x    = float_of(bits | sign << 31);
            const double want = exp((double)x);
            const float  got  = sd_fast_exp(x);

            if (want > largest * (1 - 2e-7)) {
                CHECK(got >=
                      FLT_MAX * (1 - 4e-7f)); /* infinity, or just below it at the very edge */
                continue;
            }
            if (units(got, want) > worst) worst = units(got, want);
        }
    }
    CLOSE(worst, 0, 2);
    if (getenv("SD_VERBOSE") != NULL) printf("exp: %.3f units in the last place\n", worst);
}

static void exponential_is_right_at_the_ends(void)
{
    CHECK(sd_fast_exp(0) == 1);
    CHECK(sd_fast_exp(-0.0f) == 1);
    CHECK(sd_fast_exp(INFINITY) == INFINITY);
    CHECK(sd_fast_exp(89) == INFINITY);
    CHECK(sd_fast_exp(88.7228f) < INFINITY);
    CHECK(sd_fast_exp(-INFINITY) == 0);
    CHECK(sd_fast_exp(-FLT_MAX) == 0);
    CHECK(sd_fast_exp(-103) > 0); /* subnormal */
    CHECK(isnan(sd_fast_exp(NAN)) && isnan(sd_fast_exp(-NAN)));
}

static double exact(sd_act act, double a)
{
    const double cubic = sqrt(2 / acos(-1.0)) * (a + 0.044715 * a * a * a);

    switch (act) {
    case SD_ACT_SILU: return a / (1 + exp(-a));
    case SD_ACT_GELU: return 0.5 * a * erfc(-a * sqrt(0.5));
    case SD_ACT_GELU_TANH: return a / (1 + exp(-2 * cubic)); /* (1 + tanh u) / 2 */
    case SD_ACT_RELU: return a > 0 ? a : 0;
    case SD_ACT_RELU_SQUARED: return a > 0 ? a * a : 0;
    case SD_ACT_COUNT: break;
    }
    return NAN;
}

/* 2^-22 |a|: two units of the exponential, the quotient, and for the GELUs the rounded argument. */
static void activations_match_their_formulas(void)
{
    enum { N = 5001 };
    static float x[N], up[N], plain[N], gated[N];

    for (int act = 0; act < SD_ACT_COUNT; act++) {
        for (int i = 0; i < N; i++) {
            x[i]     = (float)(i - N / 2) / 125;
            up[i]    = 1 - (float)i / 1000;
            plain[i] = gated[i] = x[i];
        }
        sd_activate((sd_act)act, N, plain, NULL);
        sd_activate((sd_act)act, N, gated, up);
        for (int i = 0; i < N; i++) {
            const double a = x[i], squared = act == SD_ACT_RELU_SQUARED ? 0x1p-24 * a * a : 0;

            CLOSE(plain[i], exact((sd_act)act, a),
                  act == SD_ACT_RELU_SQUARED ? squared : 0x1p-22 * fabs(a));
            CHECK(gated[i] == plain[i] * up[i]);
        }
    }
}

static void activations_carry_what_is_not_finite(void)
{
    for (int act = 0; act < SD_ACT_COUNT; act++) {
        float x[] = {NAN, INFINITY, 1e30f, -1e30f, -200};

        sd_activate((sd_act)act, 5, x, NULL);
        CHECK(isnan(x[0]) && x[1] == INFINITY);
        CHECK(act == SD_ACT_RELU_SQUARED ? x[2] == INFINITY : x[2] == 1e30f);
        CHECK(x[3] == 0 && x[4] == 0);
    }
}

/* Every length around the vector and piece lengths: nothing is missed and nothing behind is
 * touched. */
static void every_element_is_reached_and_none_behind(void)
{
    static float x[4200];
    const int    lengths[] = {0, 1, 15, 16, 17, 4095, 4096, 4097, 4112};

    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        for (int i = 0; i < 4200; i++) x[i] = -1;
        sd_activate(SD_ACT_RELU, lengths[k], x, NULL);
        for (int i = 0; i < 4200; i++) CHECK(x[i] == (i < lengths[k] ? 0 : -1));
    }
}

int main(void)
{
    exponential_is_within_two_units_everywhere();
    exponential_is_right_at_the_ends();
    activations_match_their_formulas();
    activations_carry_what_is_not_finite();
    every_element_is_reached_and_none_behind();
    return REPORT();
}
