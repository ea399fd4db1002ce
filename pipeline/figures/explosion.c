/* explosion: the FFN's response to each right singular vector of F and to its opposite, first run.
 */
#include <math.h>

#include "pipeline/figure_data.h"
#include "pipeline/figures/figure.h"
#include "solvers/base/memory.h"

enum { PANELS = 4 };

extern const char sd_script_explosion[];

typedef struct {
    double *sigma, *response; /* n_steps x n_layers x d (x 2) */
    double *role;             /* n_steps x n_layers           */
} explosion;

static void explosion_end(explosion *e)
{
    sd_free(e->sigma);
    sd_free(e->response);
    sd_free(e->role);
}

/* Layers of the last step that has a response anywhere; the first PANELS of them, from 0. */
static int choose(const sd_run_info *info, const double *response, int64_t *step,
                  int64_t layer[PANELS])
{
    const int64_t n_layers = info->shape.n_layers, stride = info->shape.d * 2;
    int           n = 0;

    *step = info->n_steps;
    while (n == 0 && *step > 0) {
        --*step;
        for (int64_t l = 0; l < n_layers && n < PANELS; l++)
            if (isfinite(response[(*step * n_layers + l) * stride])) layer[n++] = l;
    }
    return n;
}

static void write_panel(FILE *data, const sd_run_info *info, const explosion *e, int64_t at,
                        int64_t layer)
{
    const int64_t d = info->shape.d;

    sd_figure_block(data,
                    "one explosion layer: norms of the FFN at v and at -v, and sigma sqrt(d)");
    fprintf(data, "vector\t\"layer %lld, phase %.0f\"\tplus\tminus\tlinear\n", (long long)layer + 1,
            e->role[at]);
    for (int64_t i = 0; i < d; i++) {
        fprintf(data, "%lld\t\"\"", (long long)i + 1);
        sd_figure_number(data, e->response[(at * d + i) * 2]);
        sd_figure_number(data, e->response[(at * d + i) * 2 + 1]);
        sd_figure_number(data, e->sigma[at * d + i] * sqrt((double)d));
        putc('\n', data);
    }
}

/* Larger response of either sign to vector i. */
static double larger(const double *response, int64_t i)
{
    return fmax(response[2 * i], response[2 * i + 1]);
}

static void write_numbers(FILE *caption, const sd_run_info *info, const double *response,
                          int64_t layer)
{
    double next = 0;

    for (int64_t i = 1; i < info->shape.d; i++) next = fmax(next, larger(response, i));
    fprintf(caption, " Layer %lld: %.4g and %.4g at the leading one, %.4g at most elsewhere.",
            (long long)layer + 1, larger(response, 0), fmin(response[0], response[1]), next);
}

static sd_status write_data(const sd_results *results, FILE *data, FILE *caption, bool *drawn)
{
    sd_status          st   = SD_OK;
    const sd_run_info *info = sd_results_run_info(results, 0);
    explosion          e    = {0};
    int64_t            step = 0, layer[PANELS];
    int                n    = 0;

    if (info->shape.subspace) {
        SD_TRY(sd_results_read(results, 0, SD_V_SUBSPACE_SIGMA, &e.sigma));
        SD_TRY(sd_results_read(results, 0, SD_V_SUBSPACE_RESPONSE, &e.response));
        SD_TRY(sd_results_read(results, 0, SD_V_ROLE_EXPLOSION, &e.role));
        n = choose(info, e.response, &step, layer);
    }
    *drawn = n > 0;
    if (!*drawn) {
        fprintf(caption, "Not drawn: %s %s has %s.\n",
                info->shape.subspace ? "no checkpoint of run" : "the study of run", info->name,
                info->shape.subspace ? "an explosion layer" : "no `subspace: true`");
        goto done;
    }
    fprintf(caption,
            "Norm of the exact FFN behind its norm at each right singular vector v of its "
            "linearisation F and at -v, at the explosion layers of run %s, step %lld; line: what "
            "F itself answers.",
            info->name, (long long)info->step[step]);
    for (int i = 0; i < n; i++) {
        const int64_t at = step * info->shape.n_layers + layer[i];

        write_panel(data, info, &e, at, layer[i]);
        write_numbers(caption, info, e.response + at * info->shape.d * 2, layer[i]);
    }
    putc('\n', caption);

done:
    explosion_end(&e);
    return st;
}

const sd_figure sd_figure_explosion = {
    "explosion", "Response of the FFN to each singular vector of its linearisation.",
    sd_script_explosion, write_data};
