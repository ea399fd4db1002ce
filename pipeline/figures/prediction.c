/* prediction: the direction that the weights predict against the measured one, first run. */
#include <math.h>

#include "pipeline/figure_data.h"
#include "pipeline/figures/figure.h"
#include "solvers/base/memory.h"

extern const char sd_script_prediction[];

typedef struct {
    double *angle, *axis, *deflated; /* n_steps x n_layers x n_phases, degrees   */
    double *explosion, *decay;       /* n_steps x n_layers, number of the phase  */
} prediction;

static void prediction_end(prediction *p)
{
    sd_free(p->angle);
    sd_free(p->axis);
    sd_free(p->deflated);
    sd_free(p->explosion);
    sd_free(p->decay);
}

static sd_status read_prediction(const sd_results *results, prediction *p)
{
    sd_status st = SD_OK;
    SD_TRY(sd_results_read(results, 0, SD_V_LINEAR_ANGLE, &p->angle));
    SD_TRY(sd_results_read(results, 0, SD_V_LINEAR_ANGLE_AXIS, &p->axis));
    SD_TRY(sd_results_read(results, 0, SD_V_LINEAR_ANGLE_DEFLATED, &p->deflated));
    SD_TRY(sd_results_read(results, 0, SD_V_ROLE_EXPLOSION, &p->explosion));
    SD_TRY(sd_results_read(results, 0, SD_V_ROLE_DECAY, &p->decay));
done:
    return st;
}

/* The checkpoint's profile along the layers; the roles are those of the dominant phase, number 1.
 */
static void write_profile(FILE *data, const sd_run_info *info, const prediction *p, int64_t step)
{
    const int64_t n_phases = sd_dim_length(SD_DIM_PHASE, &info->shape);
    sd_figure_block(data, "the last checkpoint that has a phase, layer by layer, in degrees");
    fprintf(data, "layer\t\"step %lld\"\tangle\taxis\tdeflated\texplosion\tdecay\n",
            (long long)info->step[step]);
    for (int64_t l = 0; l < info->shape.n_layers; l++) {
        const int64_t row = step * info->shape.n_layers + l;
        fprintf(data, "%lld\t\"\"", (long long)l + 1);
        sd_figure_number(data, p->angle[row * n_phases]);
        sd_figure_number(data, p->axis[row * n_phases]);
        sd_figure_number(data, p->deflated[row * n_phases]);
        fprintf(data, "\t%d\t%d\n", p->explosion[row] == 1, p->decay[row] == 1);
    }
}

static void write_caption(FILE *caption, const sd_run_info *info, const prediction *p, int64_t step)
{
    const int64_t n_phases = sd_dim_length(SD_DIM_PHASE, &info->shape);
    fprintf(caption,
            "Acute angle between u, the leading left singular vector of a layer's linear "
            "approximation, and the measured direction of the dominant phase in run %s: per "
            "layer and checkpoint, and along the layers at step %lld, beside the axis of the "
            "largest row of the down projection and u without the direction's top channel.",
            info->name, (long long)info->step[step]);
    for (int64_t l = 0; l < info->shape.n_layers; l++) {
        const int64_t row = step * info->shape.n_layers + l;
        if (p->explosion[row] == 1)
            fprintf(caption, " Explosion layer %lld: %.1f degrees (axis %.1f).", (long long)l + 1,
                    p->angle[row * n_phases], p->axis[row * n_phases]);
        if (p->decay[row] == 1)
            fprintf(caption, " Decay layer %lld: %.1f degrees (axis %.1f).", (long long)l + 1,
                    p->angle[row * n_phases], p->axis[row * n_phases]);
    }
    putc('\n', caption);
}

static sd_status write_data(const sd_results *results, FILE *data, FILE *caption, bool *drawn)
{
    sd_status          st       = SD_OK;
    const sd_run_info *info     = sd_results_run_info(results, 0);
    const int64_t      n_phases = sd_dim_length(SD_DIM_PHASE, &info->shape);
    prediction         p        = {0};
    SD_TRY(read_prediction(results, &p));
    const int64_t row =
        sd_figure_last_number(info->n_steps * info->shape.n_layers, p.angle, n_phases);
    *drawn = row >= 0;
    if (!*drawn) {
        fprintf(caption, "Not drawn: no checkpoint of run %s has a phase.\n", info->name);
        goto done;
    }
    sd_figure_map(data, info, p.angle, n_phases, 0);
    write_profile(data, info, &p, row / info->shape.n_layers);
    write_caption(caption, info, &p, row / info->shape.n_layers);
done:
    prediction_end(&p);
    return st;
}

const sd_figure sd_figure_prediction = {"prediction", "The direction, predicted from the weights.",
                                        sd_script_prediction, write_data};
