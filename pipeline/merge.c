#include "pipeline/merge.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/align.h"
#include "solvers/angle.h"
#include "solvers/base/memory.h"

/* One complete checkpoint of a run: what the merge must know before it writes. */
typedef struct {
    int64_t        index; /* in the study's run                           */
    int64_t        step;
    char          *file; /* its unit                                     */
    char          *fingerprint;
    double         elapsed_s;
    sd_phase_marks marks; /* phases as the unit numbers them              */
    int            slot[SD_MAX_PHASES];
    double        *vector; /* d: the dominant phase's direction, or NaN    */
} merged_step;

typedef struct {
    const sd_study_run *run;
    int64_t             n;
    merged_step        *step; /* ascending                                    */
    sd_shape            shape;
    int64_t             vocabulary;
    char               *family;
} merged_run;

typedef struct {
    const sd_study    *study;
    const char        *folder;
    sd_outcome        *outcome;
    const sd_findings *findings;
    merged_run        *run;
    sd_study_file     *file;
} merge;

sd_status sd_unit_path(const char *folder, const char *run, int64_t step, char **out)
{
    sd_status    st    = SD_OK;
    const size_t bytes = strlen(folder) + strlen(run) + 48;

    SD_TRY(sd_alloc((int64_t)bytes, 1, out));
    snprintf(*out, bytes, "%s/units/%s/%" PRId64 ".h5", folder, run, step);

done:
    return st;
}

/* ---- looking at the units ---- */

static bool same_shape(const sd_shape *a, const sd_shape *b)
{
    return a->n_layers == b->n_layers && a->d == b->d && a->n_triplets == b->n_triplets &&
           a->subspace == b->subspace;
}

static sd_status look_at_unit(const merge *m, merged_run *run, merged_step *step)
{
    sd_status st   = SD_OK;
    sd_unit  *unit = NULL;

    SD_TRY(sd_unit_path(m->folder, run->run->name, step->step, &step->file));
    SD_TRY(sd_unit_read(step->file, &unit));
    step->elapsed_s = unit->info.elapsed_s;
    SD_TRY(sd_copy_string(unit->info.fingerprint, &step->fingerprint));
    SD_TRY(sd_phase_marks_read(unit, &step->marks));
    /* The last one decides the run's sizes; it is looked at first. */
    if (run->family == NULL) {
        SD_TRY(sd_copy_string(unit->info.family, &run->family));
        run->shape      = unit->shape;
        run->vocabulary = unit->info.vocabulary;
    }
    SD_REQUIRE(same_shape(&unit->shape, &run->shape), SD_ERR_INPUT,
               "%" PRId64 " layers of size %" PRId64 ", and the run's last checkpoint has %" PRId64
               " of size %" PRId64 ": not of this run",
               unit->shape.n_layers, unit->shape.d, run->shape.n_layers, run->shape.d);

done:
    sd_unit_destroy(&unit);
    return st;
}

static void release_step(merged_step *step)
{
    sd_phase_marks_release(&step->marks);
    sd_free(step->file);
    sd_free(step->fingerprint);
    sd_free(step->vector);
    *step = (merged_step){0};
}

/* A unit of other sizes is no part of the run: its checkpoint has failed. */
static sd_status leave_out(const merged_run *run, merged_step *step, sd_outcome *outcome)
{
    sd_status st = SD_OK;

    fprintf(stderr, "singdef: %s: %s\n", run->run->checkpoint[step->index].path, sd_message());
    SD_TRY(sd_copy_string(sd_message(), &outcome->message));
    outcome->complete = false;
    sd_clear();
    release_step(step);

done:
    return st;
}

static sd_status look_at_run(merge *m, merged_run *run, sd_outcome *outcome)
{
    sd_status st = SD_OK;
    int64_t   n = run->run->n_checkpoints, kept = 0;

    SD_TRY(sd_alloc(n, sizeof *run->step, &run->step));
    run->n = n; /* for the cleanup */
    for (int64_t i = n - 1; i >= 0; i--) {
        merged_step *step = &run->step[i];

        if (!outcome[i].complete) continue;
        step->index = i;
        step->step  = run->run->checkpoint[i].step;
        st          = look_at_unit(m, run, step);
        if (st == SD_ERR_INPUT) st = leave_out(run, step, &outcome[i]);
        SD_TRY(st);
    }
    for (int64_t i = 0; i < n; i++) {
        if (!outcome[i].complete) continue;
        const merged_step one = run->step[i];

        run->step[i]      = (merged_step){0};
        run->step[kept++] = one;
    }
    run->n = kept;
    for (int64_t i = 0; i < kept; i++) {
        const merged_step *last = &run->step[kept - 1];
        merged_step       *step = &run->step[i];
        const int64_t      d    = run->shape.d;

        sd_phase_align(&last->marks, &step->marks, step->slot);
        SD_TRY(sd_alloc(d, sizeof *step->vector, &step->vector));
        for (int64_t c = 0; c < d; c++) step->vector[c] = NAN;
        for (int k = 0; k < SD_MAX_PHASES; k++)
            if (step->slot[k] == 0)
                memcpy(step->vector, step->marks.direction + k * d, (size_t)d * sizeof(double));
    }

done:
    return st;
}

/* ---- writing a run ---- */

/* The checkpoint that a fine-tune started from: the parent's last, or the step that is named; NULL
 * when that one has failed, for an angle to another would pass for the one that was asked for. */
static const double *parent_vector(const merge *m, const merged_run *run)
{
    if (run->run->parent == NULL) return NULL;

    const merged_run   *parent = &m->run[sd_study_find(m->study, run->run->parent)];
    const sd_study_run *listed = parent->run;
    const int64_t       step   = run->run->parent_step >= 0
                                     ? run->run->parent_step
                                     : listed->checkpoint[listed->n_checkpoints - 1].step;
    for (int64_t i = 0; i < parent->n; i++)
        if (parent->step[i].step == step)
            return parent->shape.d == run->shape.d ? parent->step[i].vector : NULL;
    return NULL;
}

static double angle_or_nan(int64_t d, const double *a, const double *b)
{
    return a != NULL && b != NULL ? sd_acute_angle(d, a, b) : NAN;
}

static sd_status put_derived(merge *m, const merged_run *run, int64_t s)
{
    sd_status     st            = SD_OK;
    const int64_t d             = run->shape.d;
    const double *vector        = run->step[s].vector;
    const double *previous      = s > 0 ? run->step[s - 1].vector : NULL;
    const bool    there         = isfinite(vector[0]);
    const int32_t channel       = there ? (int32_t)sd_top_channel(d, vector) : -1;
    const double  participation = there ? sd_participation(d, vector) : NAN;
    const double  to_final      = angle_or_nan(d, vector, run->step[run->n - 1].vector);
    const double  to_previous   = angle_or_nan(d, vector, previous);
    const double  to_parent     = angle_or_nan(d, vector, parent_vector(m, run));

    SD_TRY(sd_study_file_put(m->file, s, SD_V_DIRECTION_VECTOR, vector));
    SD_TRY(sd_study_file_put(m->file, s, SD_V_DIRECTION_PARTICIPATION, &participation));
    SD_TRY(sd_study_file_put(m->file, s, SD_V_DIRECTION_TOP_CHANNEL, &channel));
    SD_TRY(sd_study_file_put(m->file, s, SD_V_DIRECTION_TO_FINAL, &to_final));
    SD_TRY(sd_study_file_put(m->file, s, SD_V_DIRECTION_TO_PREVIOUS, &to_previous));
    SD_TRY(sd_study_file_put(m->file, s, SD_V_DIRECTION_TO_PARENT, &to_parent));

done:
    return st;
}

static sd_status put_step(merge *m, const merged_run *run, int64_t s)
{
    sd_status st   = SD_OK;
    sd_unit  *unit = NULL;

    SD_TRY(sd_unit_read(run->step[s].file, &unit));
    SD_TRY(sd_phase_renumber(unit, run->step[s].slot));
    for (int id = 0; id < SD_V_COUNT; id++)
        if (!sd_variables[id].derived && sd_variable_is_asked((sd_variable_id)id, &run->shape))
            SD_TRY(sd_study_file_put(m->file, s, (sd_variable_id)id, unit->value[id]));
    SD_TRY(put_derived(m, run, s));

done:
    sd_unit_destroy(&unit);
    return st;
}

static sd_status put_run(merge *m, const merged_run *run)
{
    sd_status    st   = SD_OK;
    int64_t     *step = NULL;
    const char **path = NULL, **fingerprint = NULL;

    SD_TRY(sd_alloc(run->n, sizeof *step, &step));
    SD_TRY(sd_alloc(run->n, sizeof *path, &path));
    SD_TRY(sd_alloc(run->n, sizeof *fingerprint, &fingerprint));
    for (int64_t s = 0; s < run->n; s++) {
        step[s]        = run->step[s].step;
        path[s]        = run->run->checkpoint[run->step[s].index].path;
        fingerprint[s] = run->step[s].fingerprint;
    }
    const sd_run_info info = {.name        = run->run->name,
                              .family      = run->family != NULL ? run->family : "",
                              .parent      = run->run->parent,
                              .shape       = run->shape,
                              .vocabulary  = run->vocabulary,
                              .n_steps     = run->n,
                              .step        = step,
                              .path        = path,
                              .fingerprint = fingerprint};
    SD_TRY(sd_study_file_add_run(m->file, &info));
    for (int64_t s = 0; s < run->n; s++) SD_TRY(put_step(m, run, s));
    SD_TRY(sd_study_file_end_run(m->file));

done:
    sd_free(step);
    sd_free(path);
    sd_free(fingerprint);
    return st;
}

/* ---- the rest of the file ---- */

static sd_status put_failures(merge *m)
{
    sd_status   st     = SD_OK;
    sd_failure *failed = NULL;
    int64_t     n = 0, total = 0;

    for (int64_t r = 0; r < m->study->n_runs; r++) total += m->study->run[r].n_checkpoints;
    SD_TRY(sd_alloc(total, sizeof *failed, &failed));
    for (int64_t r = 0, task = 0; r < m->study->n_runs; r++) {
        const sd_study_run *run = &m->study->run[r];

        for (int64_t i = 0; i < run->n_checkpoints; i++, task++)
            if (m->outcome[task].message != NULL)
                failed[n++] = (sd_failure){.run     = run->name,
                                           .path    = run->checkpoint[i].path,
                                           .message = m->outcome[task].message,
                                           .step    = run->checkpoint[i].step};
    }
    SD_TRY(sd_study_file_put_failures(m->file, n, failed));

done:
    sd_free(failed);
    return st;
}

/* Distances between the last checkpoints of all runs with the size of the first that has one. */
static sd_status put_signatures(merge *m)
{
    sd_status      st       = SD_OK;
    const int64_t  n        = m->study->n_runs;
    const char   **name     = NULL;
    const double **vector   = NULL;
    double        *distance = NULL, *chance = NULL;
    int64_t        count = 0, d = 0;

    SD_TRY(sd_alloc(n, sizeof *name, &name));
    SD_TRY(sd_alloc(n, sizeof *vector, &vector));
    for (int64_t r = 0; r < n; r++) {
        const merged_run *run = &m->run[r];

        if (run->n == 0 || (d != 0 && run->shape.d != d)) continue;
        d               = run->shape.d;
        name[count]     = run->run->name;
        vector[count++] = run->step[run->n - 1].vector;
    }
    SD_TRY(sd_alloc(count * count, sizeof *distance, &distance));
    SD_TRY(sd_alloc(count * count, sizeof *chance, &chance));
    for (int64_t a = 0; a < count; a++)
        for (int64_t b = 0; b < count; b++) {
            const double angle      = sd_acute_angle(d, vector[a], vector[b]);
            distance[a * count + b] = angle;
            chance[a * count + b]   = isfinite(angle) ? sd_log10_chance(d, angle) : NAN;
        }
    SD_TRY(sd_study_file_put_signatures(m->file, count, name, distance, chance));

done:
    sd_free(name);
    sd_free(vector);
    sd_free(distance);
    sd_free(chance);
    return st;
}

static sd_status put_provenance(merge *m, const sd_provenance *provenance)
{
    sd_status     st   = SD_OK;
    sd_provenance full = *provenance;
    const char  **run  = NULL;
    int64_t      *step = NULL, n = 0;
    double       *time = NULL;

    for (int64_t r = 0; r < m->study->n_runs; r++) n += m->run[r].n;
    SD_TRY(sd_alloc(n, sizeof *run, &run));
    SD_TRY(sd_alloc(n, sizeof *step, &step));
    SD_TRY(sd_alloc(n, sizeof *time, &time));
    n = 0;
    for (int64_t r = 0; r < m->study->n_runs; r++)
        for (int64_t s = 0; s < m->run[r].n; s++, n++) {
            run[n]  = m->run[r].run->name;
            step[n] = m->run[r].step[s].step;
            time[n] = m->run[r].step[s].elapsed_s;
        }
    full.n_timings   = n;
    full.timing_run  = run;
    full.timing_step = step;
    full.timing_s    = time;
    SD_TRY(sd_study_file_put_provenance(m->file, &full));

done:
    sd_free(run);
    sd_free(step);
    sd_free(time);
    return st;
}

static sd_status write_file(merge *m, const char *path, const sd_provenance *provenance)
{
    sd_status st = SD_OK;

    SD_TRY(sd_study_file_create(path, m->study->title, m->study->yaml, &m->file));
    SD_TRY(sd_study_file_put_version(m->file, SD_VERSION));
    for (int64_t r = 0; r < m->study->n_runs; r++)
        if (m->run[r].n > 0) SD_TRY(put_run(m, &m->run[r])); /* else its sizes are not known */
    SD_TRY(put_failures(m));
    SD_TRY(sd_study_file_put_findings(m->file, m->findings->n, m->findings->item));
    SD_TRY(put_signatures(m));
    SD_TRY(put_provenance(m, provenance));
    SD_TRY(sd_study_file_commit(m->file));

done:
    sd_study_file_destroy(&m->file);
    return st;
}

sd_status sd_merge(const sd_study *study, const char *folder, sd_outcome *outcome,
                   const sd_findings *findings, const sd_provenance *provenance)
{
    sd_status    st = SD_OK;
    merge        m  = {.study = study, .folder = folder, .outcome = outcome, .findings = findings};
    const size_t bytes = strlen(folder) + 16;
    char        *path  = NULL;

    SD_TRY(sd_alloc((int64_t)bytes, 1, &path));
    snprintf(path, bytes, "%s/study.h5", folder);
    SD_TRY(sd_alloc(study->n_runs, sizeof *m.run, &m.run));
    for (int64_t r = 0, task = 0; r < study->n_runs; task += study->run[r++].n_checkpoints) {
        m.run[r].run = &study->run[r];
        SD_TRY(look_at_run(&m, &m.run[r], outcome + task));
    }
    SD_TRY(write_file(&m, path, provenance));

done:
    for (int64_t r = 0; m.run != NULL && r < study->n_runs; r++) {
        for (int64_t i = 0; i < m.run[r].n; i++) release_step(&m.run[r].step[i]);
        sd_free(m.run[r].step);
        sd_free(m.run[r].family);
    }
    sd_free(m.run);
    sd_free(path);
    return st;
}
