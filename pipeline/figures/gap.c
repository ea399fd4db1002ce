/* gap: sigma_1 / sigma_2 of F over layers and steps of the first run. */
#include <math.h>

#include "pipeline/figure_data.h"
#include "pipeline/figures/figure.h"
#include "solvers/base/memory.h"

extern const char sd_script_gap[];

/* The paper's sign of an explosion layer, from weights alone. */
static const double threshold = 3;

static sd_status write_data(const sd_results *results, FILE *data, FILE *caption, bool *drawn)
{
    sd_status          st       = SD_OK;
    const sd_run_info *info     = sd_results_run_info(results, 0);
    const int64_t      n_layers = info->shape.n_layers, n_cells = info->n_steps * n_layers;
    double            *gap     = NULL;
    int64_t            flagged = 0;
    SD_TRY(sd_results_read(results, 0, SD_V_ROLE_WEIGHT_GAP, &gap));
    *drawn = sd_figure_last_number(n_cells, gap, 1) >= 0;
    if (!*drawn) {
        fprintf(caption, "Not drawn: run %s has no singular values of F.\n", info->name);
        goto done;
    }
    sd_figure_map(data, info, gap, 1, 1);
    fprintf(caption,
            "Ratio of the two largest singular values of the linearised FFN, F, per layer and "
            "checkpoint of run %s; framed where it exceeds %g; at step %lld in",
            info->name, threshold, (long long)info->step[info->n_steps - 1]);
    for (int64_t l = 0; l < n_layers; l++) {
        const double last = gap[n_cells - n_layers + l];
        if (!(last > threshold)) continue;
        fprintf(caption, "%s layer %lld (%.1f)", flagged++ == 0 ? "" : ",", (long long)l + 1, last);
    }
    fprintf(caption, "%s.\n", flagged == 0 ? " no layer" : "");
done:
    sd_free(gap);
    return st;
}

const sd_figure sd_figure_gap = {"gap", "Gap of the two largest singular values of F.",
                                 sd_script_gap, write_data};
