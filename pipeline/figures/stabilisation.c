/* stabilisation: how the direction settles in the first run, and what fine-tuning does to it. */
#include <math.h>

#include "pipeline/figure_data.h"
#include "pipeline/figures/figure.h"
#include "solvers/angle.h"
#include "solvers/base/memory.h"

extern const char sd_script_stabilisation[];

/* What the first run's curve is made of. */
typedef struct {
    double *to_final, *to_previous; /* n_steps each: of the direction               */
    double *early;                  /* n_steps: of the initial tokens' mean direction */
    int64_t state;                  /* where that one is taken                      */
} curve;

static void curve_end(curve *c)
{
    sd_free(c->to_final);
    sd_free(c->to_previous);
    sd_free(c->early);
}

/* The middle of the last checkpoint's plateau; without one, where the initial tokens stand out
 * most. */
static sd_status choose_state(const sd_results *results, const sd_run_info *info, int64_t *state)
{
    sd_status     st   = SD_OK;
    const int64_t last = info->n_steps - 1, n_phases = sd_dim_length(SD_DIM_PHASE, &info->shape);
    double       *first_state = NULL, *last_state = NULL, *ratio = NULL;
    int64_t      *peak = NULL;
    SD_TRY(sd_results_read(results, 0, SD_V_PHASE_PLATEAU_FIRST, &first_state));
    SD_TRY(sd_results_read(results, 0, SD_V_PHASE_PLATEAU_LAST, &last_state));
    SD_TRY(sd_figure_peaks(results, 0, &ratio, &peak));
    const double from = first_state[last * n_phases], to = last_state[last * n_phases];
    *state = from >= 0 && to >= from && to <= (double)info->shape.n_layers
                 ? (int64_t)((from + to) / 2)
                 : peak[last];
done:
    sd_free(first_state);
    sd_free(last_state);
    sd_free(ratio);
    sd_free(peak);
    return st;
}

static sd_status read_curve(const sd_results *results, const sd_run_info *info, curve *c)
{
    sd_status     st       = SD_OK;
    const int64_t n_states = info->shape.n_layers + 1, d = info->shape.d;
    double       *per_state = NULL;
    SD_TRY(sd_results_read(results, 0, SD_V_DIRECTION_TO_FINAL, &c->to_final));
    SD_TRY(sd_results_read(results, 0, SD_V_DIRECTION_TO_PREVIOUS, &c->to_previous));
    SD_TRY(sd_alloc(info->n_steps, sizeof *c->early, &c->early));
    SD_TRY(choose_state(results, info, &c->state));
    SD_TRY(sd_results_read(results, 0, SD_V_DIRECTION_PER_STATE, &per_state));
    for (int64_t s = 0; s < info->n_steps; s++) {
        const int64_t last = info->n_steps - 1, state = c->state;
        c->early[s] = state < 0 ? NAN
                                : sd_acute_angle(d, per_state + (s * n_states + state) * d,
                                                 per_state + (last * n_states + state) * d);
    }
done:
    sd_free(per_state);
    return st;
}

/* The median angle of two random directions: the median of a normal number's size is 0.6745. */
static double random_angle(int64_t d)
{
    return acos(fmin(1, 0.6744897501960817 / sqrt((double)d))) * 180 / acos(-1);
}

static void write_base(const sd_results *results, FILE *data, const sd_run_info *info,
                       const curve *c)
{
    sd_figure_block(data, "the first run; angles in degrees; early: of the initial tokens' mean "
                          "direction in one state");
    fprintf(data, "step\tto_final\tto_previous\tearly\trandom\tstate\tin_question\n");
    for (int64_t s = 0; s < info->n_steps; s++) {
        fprintf(data, "%lld", (long long)info->step[s]);
        sd_figure_number(data, c->to_final[s]);
        sd_figure_number(data, c->to_previous[s]);
        sd_figure_number(data, c->early[s]);
        sd_figure_number(data, random_angle(info->shape.d));
        fprintf(data, "\t%lld\t%d\n", (long long)c->state,
                sd_figure_in_question(results, 0, info->step[s]));
    }
}

/* One block per run that continues the first one, and a clause of the caption. */
static sd_status write_children(const sd_results *results, FILE *data, FILE *caption, int *n)
{
    sd_status st    = SD_OK;
    double   *angle = NULL;
    for (int64_t run = 1; run < sd_results_runs(results); run++) {
        const sd_run_info *info = sd_results_run_info(results, run);
        if (sd_figure_find_run(results, info->parent) != 0 || info->n_steps == 0) continue;
        SD_TRY(sd_results_read(results, run, SD_V_DIRECTION_TO_PARENT, &angle));
        const int64_t last = sd_figure_last_number(info->n_steps, angle, 1);
        if (last >= 0) {
            sd_figure_block(data, "a run that continues the first");
            fputs("step\t", data);
            sd_figure_text(data, info->name);
            fputs("\n0\t0\n", data);
            for (int64_t s = 0; s < info->n_steps; s++) {
                fprintf(data, "%lld", (long long)info->step[s]);
                sd_figure_number(data, angle[s]);
                putc('\n', data);
            }
            fprintf(caption, " %s is %.2g degrees from its parent after %lld steps.", info->name,
                    angle[last], (long long)info->step[last]);
            ++*n;
        }
        sd_free(angle);
        angle = NULL;
    }
done:
    sd_free(angle);
    return st;
}

static sd_status write_data(const sd_results *results, FILE *data, FILE *caption, bool *drawn)
{
    sd_status          st       = SD_OK;
    const sd_run_info *info     = sd_results_run_info(results, 0);
    curve              c        = {0};
    int                children = 0;
    *drawn                      = false;
    if (info->n_steps == 0) {
        fprintf(caption, "Not drawn: run %s has no checkpoint.\n", info->name);
        goto done;
    }
    SD_TRY(read_curve(results, info, &c));
    write_base(results, data, info, &c);
    fprintf(caption,
            "Acute angle of the dominant direction of run %s to its last and to its previous "
            "checkpoint's; pale: of the initial tokens' mean direction in state %lld, which exists "
            "before there is a phase; dotted: the median of random pairs in %lld dimensions.",
            info->name, (long long)c.state, (long long)info->shape.d);
    SD_TRY(write_children(results, data, caption, &children));
    sd_figure_caption_findings(results, 0, "Small triangles at the bottom mark", caption);
    putc('\n', caption);
    *drawn = children > 0 || (info->n_steps > 1 && c.state >= 0);
    if (!*drawn) fputs("Not drawn: one checkpoint, or none with numbers.\n", caption);
done:
    curve_end(&c);
    return st;
}

const sd_figure sd_figure_stabilisation = {"stabilisation",
                                           "The direction over training, and after fine-tuning.",
                                           sd_script_stabilisation, write_data};
