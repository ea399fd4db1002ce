/* decay: the eigenvalue nearest to the direction for three maps, and what happens, first run. */
#include <math.h>

#include "pipeline/figure_data.h"
#include "pipeline/figures/figure.h"
#include "solvers/base/memory.h"

enum { MAPS = 3, ROWS = 3 };

extern const char sd_script_decay[];

static const char *const    map_name[MAPS]      = {"paper", "sum", "scaled"};
static const sd_variable_id eigenvalue_of[MAPS] = {
    SD_V_DECAY_PAPER_EIGENVALUE, SD_V_DECAY_SUM_EIGENVALUE, SD_V_DECAY_SCALED_EIGENVALUE};
static const sd_variable_id angle_of[MAPS] = {SD_V_DECAY_PAPER_ANGLE, SD_V_DECAY_SUM_ANGLE,
                                              SD_V_DECAY_SCALED_ANGLE};

typedef struct {
    double *eigenvalue[MAPS], *angle[MAPS]; /* n_steps x n_layers x n_phases (x 2) */
    double *true_change, *role;             /* n_steps x n_layers (x n_phases)     */
} decay;

static void decay_end(decay *d)
{
    for (int m = 0; m < MAPS; m++) {
        sd_free(d->eigenvalue[m]);
        sd_free(d->angle[m]);
    }
    sd_free(d->true_change);
    sd_free(d->role);
}

static sd_status read_decay(const sd_results *results, decay *d)
{
    sd_status st = SD_OK;
    for (int m = 0; m < MAPS; m++) {
        SD_TRY(sd_results_read(results, 0, eigenvalue_of[m], &d->eigenvalue[m]));
        SD_TRY(sd_results_read(results, 0, angle_of[m], &d->angle[m]));
    }
    SD_TRY(sd_results_read(results, 0, SD_V_DECAY_TRUE_CHANGE, &d->true_change));
    SD_TRY(sd_results_read(results, 0, SD_V_ROLE_DECAY, &d->role));
done:
    return st;
}

/* Decay layers of the dominant phase, from the last checkpoint that has one; the first ROWS of
 * them. */
static int choose_layers(const sd_run_info *info, const double *role, int64_t layer[ROWS])
{
    const int64_t n_layers = info->shape.n_layers;
    int           n        = 0;
    for (int64_t s = info->n_steps; s-- > 0 && n == 0;)
        for (int64_t l = 0; l < n_layers && n < ROWS; l++)
            if (role[s * n_layers + l] == 1) layer[n++] = l;
    return n;
}

static void write_layer(FILE *data, const sd_run_info *info, const decay *d, int64_t layer)
{
    const int64_t n_phases = sd_dim_length(SD_DIM_PHASE, &info->shape);
    sd_figure_block(data, "one decay layer: real parts of the eigenvalues, angles in degrees");
    fprintf(data, "step\t\"layer %lld\"\ttrue_change", (long long)layer + 1);
    for (int m = 0; m < MAPS; m++) fprintf(data, "\t%s\t%s_angle", map_name[m], map_name[m]);
    putc('\n', data);
    for (int64_t s = 0; s < info->n_steps; s++) {
        const int64_t at = (s * info->shape.n_layers + layer) * n_phases;
        fprintf(data, "%lld\t\"\"", (long long)info->step[s]);
        sd_figure_number(data, d->true_change[at]);
        for (int m = 0; m < MAPS; m++) {
            sd_figure_number(data, d->eigenvalue[m][at * 2]);
            sd_figure_number(data, d->angle[m][at]);
        }
        putc('\n', data);
    }
}

static void write_numbers(FILE *caption, const sd_run_info *info, const decay *d, int64_t layer)
{
    const int64_t n_phases = sd_dim_length(SD_DIM_PHASE, &info->shape);
    const int64_t stride   = info->shape.n_layers * n_phases;
    const int64_t step =
        sd_figure_last_number(info->n_steps, d->true_change + layer * n_phases, stride);
    if (step < 0) return;
    const int64_t at = step * stride + layer * n_phases;
    fprintf(caption, " Layer %lld at step %lld: true change %.3g", (long long)layer + 1,
            (long long)info->step[step], d->true_change[at]);
    for (int m = 0; m < MAPS; m++)
        fprintf(caption, ", %s %.3g (%.0f degrees)", map_name[m], d->eigenvalue[m][at * 2],
                d->angle[m][at]);
    fputs(".", caption);
}

static sd_status write_data(const sd_results *results, FILE *data, FILE *caption, bool *drawn)
{
    sd_status          st   = SD_OK;
    const sd_run_info *info = sd_results_run_info(results, 0);
    decay              d    = {0};
    int64_t            layer[ROWS];
    SD_TRY(read_decay(results, &d));
    const int n = choose_layers(info, d.role, layer);
    *drawn      = n > 0;
    if (!*drawn) {
        fprintf(caption, "Not drawn: no checkpoint of run %s has a decay layer.\n", info->name);
        goto done;
    }
    fprintf(caption,
            "Real part of the eigenvalue whose eigenvector is nearest to the dominant direction of "
            "run %s, for the maps R (paper), A + F (sum) and R_s (scaled), and the true relative "
            "change along the direction; open markers: that eigenvector is more than 45 degrees "
            "off. A layer that takes the norm away should have a negative one.",
            info->name);
    for (int i = 0; i < n; i++) {
        write_layer(data, info, &d, layer[i]);
        write_numbers(caption, info, &d, layer[i]);
    }
    putc('\n', caption);
done:
    decay_end(&d);
    return st;
}

const sd_figure sd_figure_decay = {"decay",
                                   "What the eigenvalues say of the decay, and what happens.",
                                   sd_script_decay, write_data};
