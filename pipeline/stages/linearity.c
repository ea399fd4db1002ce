/*
 * How linear the FFN really is: the share of the variance of f(x) = FFN(norm(x)) that its linear
 * fit F explains, about the means, on the states of real tokens, and on the Gaussian population
 * that the fit was made for. The paper fits the rows to N(0, I) and applies gamma2 afterwards, so
 * for its input the population is what the FFN sees without gamma2; real states come with it.
 * Behind a post-norm the length of F is a convention, and what is asked for is the share that the
 * best multiple of F explains.
 */
#include <math.h>

#include "pipeline/stages/stage.h"
#include "solvers/base/memory.h"
#include "solvers/base/random.h"
#include "solvers/forward/forward.h"

enum {
    GAUSSIAN_SAMPLES =
        1024,            /* the standard error of R^2 is then below 0.03 for every model tried */
    STREAM = 0x52320000, /* of the random numbers, apart from the layers of a sampled fit */
};

/* The norm without its gamma: what F, which carries diag(gamma2), is applied to. */
static void normalise_rows(int64_t n, int64_t d, double eps, const float *x, double *out)
{
    for (int64_t t = 0; t < n; t++) {
        double sum = 0;

        for (int64_t i = 0; i < d; i++) sum += (double)x[t * d + i] * x[t * d + i];
        const double scale = 1 / sqrt(sum / (double)d + eps);
        for (int64_t i = 0; i < d; i++) out[t * d + i] = x[t * d + i] * scale;
    }
}

/* 1 - |y - fit|^2 / |y|^2, both about their means over the rows; NaN when y does not vary. */
static double explained(int64_t n, int64_t d, const float *y, const double *fit)
{
    double total = 0, left = 0;

    for (int64_t i = 0; i < d; i++) {
        double mean_y = 0, mean_left = 0;

        for (int64_t t = 0; t < n; t++) {
            mean_y += y[t * d + i];
            mean_left += y[t * d + i] - fit[t * d + i];
        }
        mean_y /= (double)n;
        mean_left /= (double)n;
        for (int64_t t = 0; t < n; t++) {
            const double dy = y[t * d + i] - mean_y;
            const double dl = y[t * d + i] - fit[t * d + i] - mean_left;

            total += dy * dy;
            left += dl * dl;
        }
    }
    return total > 0 ? 1 - left / total : NAN;
}

static double mean_of(int64_t n, int64_t d, const double *x)
{
    double sum = 0;

    for (int64_t t = 0; t < n; t++) sum += x[t * d];
    return sum / (double)n;
}

/* Stretches fit to its multiple nearest to y, about their means; to 0 where it opposes y. */
static void stretch(int64_t n, int64_t d, const float *y, double *fit)
{
    double both = 0, size = 0;

    for (int64_t i = 0; i < d; i++) {
        const double mean = mean_of(n, d, fit + i);

        for (int64_t t = 0; t < n; t++) {
            const double df = fit[t * d + i] - mean;

            both += df * y[t * d + i];
            size += df * df;
        }
    }
    const double multiple = both > 0 ? both / size : 0;
    for (int64_t i = 0; i < n * d; i++) fit[i] *= multiple;
}

/* R^2 of F on n states; `taken_out`: a gamma2 that F carries and f does not, or NULL. */
static sd_status r_squared(const sd_block *block, const sd_layer_op *op, const float *taken_out,
                           int64_t n, const float *x, double *out)
{
    sd_status     st      = SD_OK;
    const int64_t d       = block->d;
    sd_forward   *forward = NULL;
    float        *y       = NULL;
    double       *in = NULL, *fit = NULL;

    SD_TRY(sd_forward_create(block, n, 1, &forward));
    SD_TRY(sd_alloc(n * d, sizeof *y, &y));
    SD_TRY(sd_alloc(n * d, sizeof *in, &in));
    SD_TRY(sd_alloc(n * d, sizeof *fit, &fit));
    SD_TRY(sd_forward_ffn(forward, block, n, x, y));
    normalise_rows(n, d, block->norm2.eps, x, in);
    for (int64_t i = 0; taken_out != NULL && i < n * d; i++)
        if (taken_out[i % d] != 0) in[i] /= taken_out[i % d];
    SD_TRY(sd_layer_op_apply_block(op, sd_map_ffn(), n, in, fit));
    if (block->post2.gamma != NULL) stretch(n, d, y, fit);
    *out = explained(n, d, y, fit);

done:
    sd_forward_destroy(&forward);
    sd_free(y);
    sd_free(in);
    sd_free(fit);
    return st;
}

/* Standard normal rows: a function of the study's seed and the layer, nothing else. */
static sd_status gaussian_rows(const sd_layer_view *view, float **out)
{
    sd_status       st    = SD_OK;
    const int64_t   d     = view->block->d;
    const sd_random table = {(uint64_t)view->study->linear.seed, STREAM};
    double         *row   = NULL;

    SD_TRY(sd_alloc(d, sizeof *row, &row));
    SD_TRY(sd_alloc(GAUSSIAN_SAMPLES * d, sizeof **out, out));
    for (int64_t t = 0; t < GAUSSIAN_SAMPLES; t++) {
        sd_random_normal(&table, (uint64_t)(view->index * GAUSSIAN_SAMPLES + t), 0, d, row);
        for (int64_t i = 0; i < d; i++) (*out)[t * d + i] = (float)row[i];
    }

done:
    sd_free(row);
    return st;
}

/*
 * On Gaussian directions, for the fit's own population. With the paper's input the rows see x
 * itself: gamma2 is 1 in f, and taken back out of F, which carries it. Channels with gamma2 = 0 are
 * seen by neither.
 */
static sd_status on_gaussian(const sd_layer_view *view, double *out)
{
    sd_status     st    = SD_OK;
    const int64_t d     = view->block->d;
    const float  *gamma = view->block->norm2.gamma;
    sd_block      block = *view->block;
    float        *x = NULL, *ones = NULL;

    SD_TRY(gaussian_rows(view, &x));
    if (view->study->linear.scaled_input) {
        SD_TRY(r_squared(&block, view->op, NULL, GAUSSIAN_SAMPLES, x, out));
        goto done;
    }
    SD_TRY(sd_alloc(d, sizeof *ones, &ones));
    for (int64_t i = 0; i < d; i++) {
        ones[i] = 1;
        for (int64_t t = 0; gamma[i] == 0 && t < GAUSSIAN_SAMPLES; t++) x[t * d + i] = 0;
    }
    block.norm2.gamma = ones;
    SD_TRY(r_squared(&block, view->op, gamma, GAUSSIAN_SAMPLES, x, out));

done:
    sd_free(ones);
    sd_free(x);
    return st;
}

static sd_status first(const sd_layer_view *view)
{
    sd_status st = SD_OK;
    double   *r2 = sd_unit_f64(view->unit, SD_V_LINEAR_R2) + 2 * view->index;

    SD_TRY(on_gaussian(view, &r2[0]));
    SD_TRY(r_squared(view->block, view->op, NULL, view->n_sample, view->sample, &r2[1]));

done:
    return st;
}

const sd_stage sd_stage_linearity = {.name = "linearity", .first = first};
