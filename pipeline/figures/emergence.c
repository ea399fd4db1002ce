/* emergence: how far the initial tokens stand out, over the steps of every run. */
#include <math.h>

#include "pipeline/figure_data.h"
#include "pipeline/figures/figure.h"
#include "solvers/base/memory.h"
#include "solvers/phases.h"

extern const char sd_script_emergence[];

static void write_point(FILE *data, int64_t step, int64_t offset, double peak, double phase,
                        int in_question)
{
    fprintf(data, "%lld\t%lld", (long long)step, (long long)(offset + step));
    sd_figure_number(data, peak);
    sd_figure_number(data, phase);
    fprintf(data, "\t%d\n", in_question); /* below the header that says whether it has a parent */
}

/* A run's block; one that has a parent starts where the parent ended. */
static sd_status write_run(const sd_results *results, int64_t run, FILE *data)
{
    sd_status          st       = SD_OK;
    const sd_run_info *info     = sd_results_run_info(results, run);
    const int64_t      parent   = sd_figure_find_run(results, info->parent);
    const int64_t      n_phases = sd_dim_length(SD_DIM_PHASE, &info->shape);
    const int64_t      offset   = sd_figure_step_offset(results, run);
    double            *peak = NULL, *phase = NULL, *start = NULL, *start_phase = NULL;
    SD_TRY(sd_figure_peaks(results, run, &peak, NULL));
    SD_TRY(sd_results_read(results, run, SD_V_PHASE_RATIO, &phase));
    sd_figure_block(data, parent < 0 ? "a run" : "a run that continues another");
    fputs("step\tsteps_in_all\t", data);
    sd_figure_text(data, info->name);
    fprintf(data, "\tphase_ratio\t%d\n", parent >= 0);
    if (parent >= 0) {
        const int64_t last = sd_results_run_info(results, parent)->n_steps - 1;
        SD_TRY(sd_figure_peaks(results, parent, &start, NULL));
        SD_TRY(sd_results_read(results, parent, SD_V_PHASE_RATIO, &start_phase));
        if (last >= 0) write_point(data, 0, offset, start[last], start_phase[last * n_phases], 0);
    }
    for (int64_t s = 0; s < info->n_steps; s++)
        write_point(data, info->step[s], offset, peak[s], phase[s * n_phases],
                    sd_figure_in_question(results, run, info->step[s]));
done:
    sd_free(peak);
    sd_free(phase);
    sd_free(start);
    sd_free(start_phase);
    return st;
}

/* What the first run shows, in numbers. */
static sd_status write_caption(const sd_results *results, FILE *caption)
{
    sd_status          st       = SD_OK;
    const sd_run_info *info     = sd_results_run_info(results, 0);
    const int64_t      n_phases = sd_dim_length(SD_DIM_PHASE, &info->shape);
    double            *peak = NULL, *phase = NULL;
    int64_t            first = 0;
    SD_TRY(sd_figure_peaks(results, 0, &peak, NULL));
    SD_TRY(sd_results_read(results, 0, SD_V_PHASE_RATIO, &phase));
    while (first < info->n_steps && !isfinite(phase[first * n_phases])) first++;
    fprintf(caption,
            "Largest ratio, over the states, of the initial tokens' mean norm to the other tokens' "
            "median norm; an open circle where the checkpoint has a phase of high norms. ");
    if (first < info->n_steps)
        fprintf(caption, "Run %s has its first phase at step %lld", info->name,
                (long long)info->step[first]);
    else
        fprintf(caption, "Run %s has no phase", info->name);
    if (info->n_steps > 0)
        fprintf(caption, "; its ratio is %.3g at step %lld and %.3g at step %lld", peak[0],
                (long long)info->step[0], peak[info->n_steps - 1],
                (long long)info->step[info->n_steps - 1]);
    putc('.', caption);
    for (int64_t run = 0; run < sd_results_runs(results); run++)
        sd_figure_caption_findings(results, run, "Small triangles at the bottom mark", caption);
    putc('\n', caption);
done:
    sd_free(peak);
    sd_free(phase);
    return st;
}

static sd_status has_numbers(const sd_results *results, int64_t run, bool *out)
{
    sd_status st   = SD_OK;
    double   *peak = NULL;
    SD_TRY(sd_figure_peaks(results, run, &peak, NULL));
    *out = sd_figure_last_number(sd_results_run_info(results, run)->n_steps, peak, 1) >= 0;
done:
    sd_free(peak);
    return st;
}

static sd_status write_data(const sd_results *results, FILE *data, FILE *caption, bool *drawn)
{
    sd_status st = SD_OK;
    *drawn       = false;
    for (int64_t run = 0; run < sd_results_runs(results); run++) {
        bool numbers = false;
        SD_TRY(has_numbers(results, run, &numbers));
        if (!numbers) continue;
        SD_TRY(write_run(results, run, data));
        *drawn = true;
    }
    if (*drawn)
        SD_TRY(write_caption(results, caption));
    else
        fputs("Not drawn: the study has no norms.\n", caption);
done:
    return st;
}

const sd_figure sd_figure_emergence = {"emergence", "Emergence of high norms over training.",
                                       sd_script_emergence, write_data};
