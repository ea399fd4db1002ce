/* norms: norms per state at up to four checkpoints of the first run. */
#include <math.h>

#include "pipeline/figure_data.h"
#include "pipeline/figures/figure.h"
#include "solvers/base/memory.h"

enum { PANELS = 4 };

extern const char sd_script_norms[];

/*
 * The first step, the one at which the ratio has risen half-way (on a logarithmic scale) to its
 * largest value, the last, and the one half-way between these two; ascending, each once.
 */
static int choose(int64_t n_steps, const double *ratio, int64_t chosen[PANELS])
{
    double low = INFINITY, high = -INFINITY;
    for (int64_t s = 0; s < n_steps; s++) {
        if (ratio[s] < low) low = ratio[s];
        if (ratio[s] > high) high = ratio[s];
    }
    int64_t risen = 0;
    while (risen < n_steps - 1 && !(ratio[risen] >= sqrt(low) * sqrt(high))) risen++;
    const int64_t wish[PANELS] = {0, risen, (risen + n_steps - 1) / 2, n_steps - 1};
    int           n            = 0;
    for (int i = 0; i < PANELS; i++)
        if (n == 0 || wish[i] > chosen[n - 1]) chosen[n++] = wish[i];
    return n;
}

static void write_panel(FILE *data, const sd_run_info *info, int64_t step, double *const value[3])
{
    const int64_t n_states = info->shape.n_layers + 1;
    sd_figure_block(data, "one checkpoint: norms of the raw residual stream after each layer");
    fprintf(data, "state\t\"step %lld\"\tinitial_mean\tother_median\tother_max\n",
            (long long)info->step[step]);
    for (int64_t i = 0; i < n_states; i++) {
        fprintf(data, "%lld\t\"\"", (long long)i);
        for (int k = 0; k < 3; k++) {
            const double norm = value[k][step * n_states + i];
            sd_figure_number(data, norm > 0 ? norm : NAN); /* the axis is logarithmic */
        }
        putc('\n', data);
    }
}

static sd_status write_data(const sd_results *results, FILE *data, FILE *caption, bool *drawn)
{
    sd_status          st       = SD_OK;
    const sd_run_info *info     = sd_results_run_info(results, 0);
    double            *value[3] = {NULL, NULL, NULL}, *ratio = NULL;
    int64_t           *state = NULL, chosen[PANELS];
    SD_TRY(sd_figure_peaks(results, 0, &ratio, &state));
    *drawn = sd_figure_last_number(info->n_steps, ratio, 1) >= 0;
    if (!*drawn) {
        fprintf(caption, "Not drawn: run %s has no norms.\n", info->name);
        goto done;
    }
    SD_TRY(sd_results_read(results, 0, SD_V_NORM_INITIAL_MEAN, &value[0]));
    SD_TRY(sd_results_read(results, 0, SD_V_NORM_OTHER_MEDIAN, &value[1]));
    SD_TRY(sd_results_read(results, 0, SD_V_NORM_OTHER_MAX, &value[2]));
    const int     n    = choose(info->n_steps, ratio, chosen);
    const int64_t last = info->n_steps - 1;
    for (int i = 0; i < n; i++) write_panel(data, info, chosen[i], value);
    fprintf(caption,
            "Norm of the residual stream per state (state l is the output of layer l) in run %s: "
            "mean over the initial tokens, median and largest over all others. ",
            info->name);
    if (state[last] >= 0)
        fprintf(caption,
                "At step %lld the initial tokens stand out most at state %lld: %.3g, %.3g times "
                "the others' median.\n",
                (long long)info->step[last], (long long)state[last],
                value[0][last * (info->shape.n_layers + 1) + state[last]], ratio[last]);
done:
    for (int k = 0; k < 3; k++) sd_free(value[k]);
    sd_free(ratio);
    sd_free(state);
    return st;
}

const sd_figure sd_figure_norms = {"norms", "Norms along the layers, early to late in training.",
                                   sd_script_norms, write_data};
