#include "pipeline/figure_data.h"

#include <math.h>
#include <string.h>

#include "solvers/base/memory.h"

/* A page is wide enough for this many columns, or rows, of printed numbers. */
enum { WORDS_MAX = 16, LABELS_MAX = 16 };

void sd_figure_number(FILE *data, double value)
{
    if (isfinite(value))
        fprintf(data, "\t%.9g", value);
    else
        fputs("\tNaN", data);
}

void sd_figure_text(FILE *data, const char *text)
{
    putc('"', data);
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"')
            putc('\'', data);
        else
            putc(c < ' ' || c == 127 || c == '\\' || c == '#' ? ' ' : c, data);
    }
    putc('"', data);
}

void sd_figure_block(FILE *data, const char *comment)
{
    if (ftell(data) > 0) fputs("\n\n", data);
    fprintf(data, "# %s\n", comment);
}

void sd_figure_map(FILE *data, const sd_run_info *run, const double *value, int64_t stride,
                   int digits)
{
    const int64_t n_layers = run->shape.n_layers, n_steps = run->n_steps;
    const int     words = n_layers <= WORDS_MAX && n_steps <= WORDS_MAX;
    const int64_t every = (n_steps + LABELS_MAX - 1) / LABELS_MAX;
    sd_figure_block(data, "one row per cell: columns are checkpoints, rows are layers");
    fputs("column\tlayer\tvalue\twords\tstep\n", data);
    for (int64_t s = 0; s < n_steps; s++)
        for (int64_t l = 0; l < n_layers; l++) {
            const double x = value[(s * n_layers + l) * stride];
            fprintf(data, "%lld\t%lld", (long long)s, (long long)l + 1);
            sd_figure_number(data, x);
            if (words && isfinite(x))
                fprintf(data, "\t\"%.*f\"", fabs(x) >= 99.5 ? 0 : digits, x);
            else
                fputs("\t\"\"", data);
            if ((n_steps - 1 - s) % every == 0) /* the last step is always named */
                fprintf(data, "\t\"%lld\"\n", (long long)run->step[s]);
            else
                fputs("\t\"\"\n", data);
        }
}

sd_status sd_figure_peaks(const sd_results *results, int64_t run, double **ratio, int64_t **state)
{
    sd_status          st       = SD_OK;
    const sd_run_info *info     = sd_results_run_info(results, run);
    const int64_t      n_states = info->shape.n_layers + 1;
    double            *initial = NULL, *other = NULL, *peak = NULL;
    int64_t           *where = NULL;
    SD_TRY(sd_alloc(info->n_steps, sizeof *peak, &peak));
    SD_TRY(sd_alloc(info->n_steps, sizeof *where, &where));
    SD_TRY(sd_results_read(results, run, SD_V_NORM_INITIAL_MEAN, &initial));
    SD_TRY(sd_results_read(results, run, SD_V_NORM_OTHER_MEDIAN, &other));
    for (int64_t s = 0; s < info->n_steps; s++) {
        peak[s]  = NAN;
        where[s] = -1;
        for (int64_t i = 0; i < n_states; i++) {
            const double r = initial[s * n_states + i] / other[s * n_states + i];
            if (isfinite(r) && r > 0 && !(r <= peak[s])) {
                peak[s]  = r;
                where[s] = i;
            }
        }
    }
    *ratio = peak;
    peak   = NULL;
    if (state != NULL) {
        *state = where;
        where  = NULL;
    }
done:
    sd_free(initial);
    sd_free(other);
    sd_free(peak);
    sd_free(where);
    return st;
}

int sd_figure_in_question(const sd_results *results, int64_t run, int64_t step)
{
    int64_t           n       = 0;
    const sd_finding *finding = sd_results_findings(results, &n);

    for (int64_t i = 0; i < n; i++)
        if (finding[i].step == step && strcmp(finding[i].run, sd_results_run(results, run)) == 0)
            return 1;
    return 0;
}

void sd_figure_caption_findings(const sd_results *results, int64_t run, const char *mark,
                                FILE *caption)
{
    enum { NAMED = 6 };
    const sd_run_info *info  = sd_results_run_info(results, run);
    int64_t            count = 0;

    for (int64_t s = 0; s < info->n_steps; s++) {
        if (!sd_figure_in_question(results, run, info->step[s])) continue;
        if (count == 0) fprintf(caption, " %s steps of run %s with findings:", mark, info->name);
        if (count < NAMED)
            fprintf(caption, "%s %lld", count > 0 ? "," : "", (long long)info->step[s]);
        count++;
    }
    if (count > NAMED) fprintf(caption, " and %lld more", (long long)(count - NAMED));
    if (count > 0) fputs("; the table /findings says what.", caption);
}

int64_t sd_figure_find_run(const sd_results *results, const char *name)
{
    for (int64_t i = 0; name != NULL && *name != '\0' && i < sd_results_runs(results); i++)
        if (strcmp(sd_results_run(results, i), name) == 0) return i;
    return -1;
}

int64_t sd_figure_step_offset(const sd_results *results, int64_t run)
{
    int64_t offset = 0, generations = sd_results_runs(results);
    for (run = sd_figure_find_run(results, sd_results_run_info(results, run)->parent);
         run >= 0 && generations-- > 0;
         run = sd_figure_find_run(results, sd_results_run_info(results, run)->parent)) {
        const sd_run_info *parent = sd_results_run_info(results, run);
        if (parent->n_steps > 0) offset += parent->step[parent->n_steps - 1];
    }
    return offset;
}

int64_t sd_figure_last_number(int64_t n, const double *value, int64_t stride)
{
    while (n > 0 && !isfinite(value[(n - 1) * stride])) n--;
    return n - 1;
}
