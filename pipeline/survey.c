#include "pipeline/survey.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/glimpse.h"
#include "solvers/base/agree.h"
#include "solvers/base/memory.h"
#include "solvers/series.h"
#include "solvers/trajectory.h"

enum {
    MOST_VALUES   = 1 << 15, /* numbers kept of a checkpoint                         */
    LEAST_VALUES  = 1 << 11,
    RUN_VALUES    = 1 << 26, /* ... and of a run                                     */
    PIECE         = 500,     /* checkpoints whose path is judged together            */
    MOST_MESSAGES = 1 << 20
};

static const char *const kind_names[] = {
    [SD_KIND_CONSTANT] = "constant",   [SD_KIND_EXTRA] = "extra",
    [SD_KIND_IDENTICAL] = "identical", [SD_KIND_SHARED] = "shared",
    [SD_KIND_UNRELATED] = "unrelated", [SD_KIND_ORDER] = "order",
    [SD_KIND_DETOUR] = "detour",       [SD_KIND_MISSING] = "missing"};

/* A finding, with what puts it into order. */
typedef struct {
    int64_t         task, step;
    sd_finding_kind kind;
    char           *message;
} found;

/* Two checkpoints, or files of theirs (-1: all), whose samples are the same. */
typedef struct {
    int64_t task[2], file[2];
} claim;

typedef struct {
    MPI_Comm        world;
    int             rank, size;
    const sd_study *study;
    const sd_poll  *poll;
    int64_t         n_tasks;
    int64_t        *run_of, *first; /* n_tasks: run; n_runs: number of its first checkpoint */
    sd_glimpse    **glimpse;        /* rank 0: n_tasks, or NULL                             */
    int64_t         n_found, found_room, n_claims, claim_room;
    found          *found;
    claim          *claim;
} survey;

static const sd_study_checkpoint *checkpoint_of(const survey *s, int64_t task)
{
    const int64_t run = s->run_of[task];
    return &s->study->run[run].checkpoint[task - s->first[run]];
}

/* Makes room for one more item; `array` is the address of the pointer to n items. */
static sd_status grow(int64_t n, int64_t *room, size_t item, void *array)
{
    sd_status st = SD_OK;
    void     *old, *larger = NULL;

    if (n < *room) return SD_OK;
    SD_TRY(sd_alloc(*room * 2 + 16, (int64_t)item, &larger));
    memcpy(&old, array, sizeof old);
    if (n > 0) memcpy(larger, old, (size_t)n * item);
    sd_free(old);
    memcpy(array, &larger, sizeof larger);
    *room = *room * 2 + 16;

done:
    return st;
}

__attribute__((format(printf, 5, 6))) static sd_status
find(survey *s, int64_t task, int64_t step, sd_finding_kind kind, const char *format, ...)
{
    sd_status st = SD_OK;
    char      text[SD_FINDING_LEN];
    va_list   arguments;

    if (s->n_found == MOST_MESSAGES) return SD_OK;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    SD_TRY(grow(s->n_found, &s->found_room, sizeof *s->found, &s->found));
    s->found[s->n_found] = (found){task, step, kind, NULL};
    SD_TRY(sd_copy_string(text, &s->found[s->n_found].message));
    s->n_found++;

done:
    return st;
}

static sd_status find_here(survey *s, int64_t task, sd_finding_kind kind, const char *text)
{
    return find(s, task, checkpoint_of(s, task)->step, kind, "%s", text);
}

/* ---- samples of a run, on rank 0 ---- */

static sd_status take_share(survey *s, int64_t run, char **bytes, int *size)
{
    sd_status           st     = SD_OK;
    const sd_study_run *r      = &s->study->run[run];
    int64_t             budget = RUN_VALUES / (r->n_checkpoints + 1), length = 0;
    FILE               *to   = NULL;
    size_t              used = 0;
    sd_glimpse         *one  = NULL;

    if (budget > MOST_VALUES) budget = MOST_VALUES;
    if (budget < LEAST_VALUES) budget = LEAST_VALUES;
    *bytes = NULL;
    to     = open_memstream(bytes, &used);
    SD_REQUIRE(to != NULL, SD_ERR_RESOURCE, "no memory for samples");
    for (int64_t c = s->rank; c < r->n_checkpoints; c += s->size) {
        SD_TRY(sd_glimpse_take(r->checkpoint[c].file, r->base, s->first[run] + c, budget, s->poll,
                               &one));
        if (one != NULL) length += one->size;
        if (one != NULL) fwrite(one, 1, (size_t)one->size, to);
        sd_free(one);
        one = NULL;
        SD_REQUIRE(length < INT_MAX, SD_ERR_RESOURCE, "run '%s' is too long to be surveyed",
                   r->name); /* MPI counts are ints */
    }
    SD_REQUIRE(fflush(to) == 0 && !ferror(to), SD_ERR_RESOURCE, "no memory for samples");
    *size = (int)length;

done:
    sd_free(one);
    if (to != NULL) fclose(to);
    return st;
}

/* Each glimpse in memory of its own: in the row of bytes they are not aligned. */
static sd_status keep_glimpses(survey *s, const char *bytes, int64_t size)
{
    sd_status st = SD_OK;
    int64_t   length, task;

    for (int64_t at = 0; at < size; at += length) {
        memcpy(&length, bytes + at + offsetof(sd_glimpse, size), sizeof length);
        memcpy(&task, bytes + at + offsetof(sd_glimpse, task), sizeof task);
        SD_TRY(sd_alloc(length, 1, &s->glimpse[task]));
        memcpy(s->glimpse[task], bytes + at, (size_t)length);
    }

done:
    return st;
}

static sd_status gather_run(survey *s, int64_t run)
{
    sd_status st   = SD_OK;
    char     *mine = NULL, *all = NULL;
    int       size = 0, *count = NULL, *offset = NULL;
    int64_t   total = 0;

    st = take_share(s, run, &mine, &size);
    if (st == SD_OK) st = sd_alloc(s->size, sizeof *count, &count);
    if (st == SD_OK) st = sd_alloc(s->size, sizeof *offset, &offset);
    SD_TRY(sd_agree(s->world, st));
    MPI_Allgather(&size, 1, MPI_INT, count, 1, MPI_INT, s->world);
    for (int i = 0; i < s->size; i++) {
        offset[i] = (int)total;
        total += count[i];
        SD_REQUIRE(total < INT_MAX, SD_ERR_RESOURCE, "run '%s' is too long to be surveyed",
                   s->study->run[run].name);
    }
    SD_TRY(sd_agree(s->world, s->rank == 0 ? sd_alloc(total, 1, &all) : SD_OK));
    MPI_Gatherv(mine, size, MPI_BYTE, all, count, offset, MPI_BYTE, 0, s->world);
    SD_TRY(sd_agree(s->world, s->rank == 0 ? keep_glimpses(s, all, total) : SD_OK));

done:
    free(mine);
    sd_free(all);
    sd_free(count);
    sd_free(offset);
    return st;
}

static bool same_tensors(const sd_glimpse_file *a, const sd_glimpse_file *b)
{
    return strcmp(a->names, b->names) == 0;
}

static bool same_sample(const sd_glimpse_file *a, const sd_glimpse_file *b)
{
    return same_tensors(a, b) && strcmp(a->bytes, b->bytes) == 0;
}

static sd_status tell_remarks(survey *s, int64_t task)
{
    sd_status         st = SD_OK;
    const sd_glimpse *g  = s->glimpse[task];

    for (int64_t i = 0; i < g->n_remarks; i++)
        SD_TRY(find_here(s, task, (sd_finding_kind)sd_glimpse_remarks(g)[i].kind,
                         sd_glimpse_remarks(g)[i].message));

done:
    return st;
}

/* ---- the path of a run ---- */

/* The run's checkpoints that can be compared: of the tensors that most of them have, each once. */
static int64_t comparable(const survey *s, int64_t run, int64_t *task)
{
    const int64_t          begin = s->first[run], end = begin + s->study->run[run].n_checkpoints;
    int64_t                most = 0, n = 0;
    const sd_glimpse_file *usual = NULL;

    for (int64_t a = begin; a < end; a++) {
        int64_t count = 0;

        for (int64_t b = begin; s->glimpse[a] != NULL && b < end; b++)
            count +=
                s->glimpse[b] != NULL && same_tensors(&s->glimpse[a]->all, &s->glimpse[b]->all);
        if (count > most) usual = &s->glimpse[a]->all;
        if (count > most) most = count;
    }
    for (int64_t a = begin; a < end; a++) {
        bool again = false;

        if (s->glimpse[a] == NULL || !same_tensors(usual, &s->glimpse[a]->all)) continue;
        for (int64_t i = 0; i < n; i++)
            again |= same_sample(&s->glimpse[task[i]]->all, &s->glimpse[a]->all);
        if (!again) task[n++] = a;
    }
    return n;
}

static sd_status tell_verdict(survey *s, int64_t task, const int64_t *among, const sd_verdict *v)
{
    const char   *run  = s->study->run[s->run_of[task]].name;
    const int64_t step = checkpoint_of(s, task)->step;

    switch (v->place) {
    case SD_PLACE_UNRELATED:
        return find(s, task, step, SD_KIND_UNRELATED,
                    "its weights have nothing in common with the other checkpoints of run '%s': "
                    "is it of another run?",
                    run);
    case SD_PLACE_ELSEWHERE:
        return find(
            s, task, step, SD_KIND_ORDER,
            "by its weights it belongs near steps %" PRId64 " and %" PRId64 ": is its step right?",
            checkpoint_of(s, among[v->before])->step, checkpoint_of(s, among[v->after])->step);
    case SD_PLACE_DETOUR:
        return find(s, task, step, SD_KIND_DETOUR,
                    "its weights lie far from those before and after it, which are near to each "
                    "other");
    case SD_PLACE_FITS: break;
    }
    return SD_OK;
}

static sd_status judge_piece(survey *s, const int64_t *task, int64_t n)
{
    sd_status         st      = SD_OK;
    const sd_glimpse *sample  = s->glimpse[task[0]];
    const int64_t     floats  = sample->n_blocks * sample->n_values;
    int64_t          *step    = NULL;
    sd_verdict       *verdict = NULL;
    sd_trajectory     t = {.n = n, .n_blocks = sample->n_blocks, .n_values = sample->n_values};

    SD_TRY(sd_alloc(n, sizeof *step, &step));
    SD_TRY(sd_alloc(n, sizeof *verdict, &verdict));
    SD_TRY(sd_alloc(n * floats, sizeof *t.value, &t.value));
    for (int64_t i = 0; i < n; i++) {
        step[i] = checkpoint_of(s, task[i])->step;
        memcpy(t.value + i * floats, sd_glimpse_values(s->glimpse[task[i]]),
               (size_t)floats * sizeof *t.value);
    }
    t.step = step;
    SD_TRY(sd_trajectory_judge(&t, verdict));
    for (int64_t i = 0; i < n; i++) SD_TRY(tell_verdict(s, task[i], task, &verdict[i]));

done:
    sd_free(step);
    sd_free(verdict);
    sd_free(t.value);
    return st;
}

static sd_status judge_path(survey *s, int64_t run)
{
    sd_status st   = SD_OK;
    int64_t  *task = NULL;

    SD_TRY(sd_alloc(s->study->run[run].n_checkpoints, sizeof *task, &task));
    const int64_t n = comparable(s, run, task), pieces = (n + PIECE - 1) / PIECE;
    for (int64_t k = 0; k < pieces; k++)
        SD_TRY(judge_piece(s, task + n * k / pieces, n * (k + 1) / pieces - n * k / pieces));

done:
    sd_free(task);
    return st;
}

static sd_status tell_holes(survey *s, int64_t run)
{
    sd_status           st   = SD_OK;
    const sd_study_run *r    = &s->study->run[run];
    int64_t            *step = NULL, n = 0;
    sd_hole            *hole = NULL;

    SD_TRY(sd_alloc(r->n_checkpoints, sizeof *step, &step));
    SD_TRY(sd_alloc(r->n_checkpoints, sizeof *hole, &hole));
    for (int64_t c = 0; c < r->n_checkpoints; c++) step[c] = r->checkpoint[c].step;
    SD_TRY(sd_series_holes(r->n_checkpoints, step, &n, hole));
    for (int64_t i = 0; i < n; i++) {
        const int64_t task = s->first[run] + hole[i].after + 1;

        if (hole[i].count == 1)
            SD_TRY(find(s, task, hole[i].first, SD_KIND_MISSING,
                        "before it step %" PRId64 " of a regular series is missing",
                        hole[i].first));
        else
            SD_TRY(find(s, task, hole[i].first, SD_KIND_MISSING,
                        "before it %" PRId64 " steps of a regular series are missing, from %" PRId64
                        " on",
                        hole[i].count, hole[i].first));
    }

done:
    sd_free(step);
    sd_free(hole);
    return st;
}

/* ---- the same under two names ---- */

static sd_status make_claim(survey *s, int64_t a, int64_t file_a, int64_t b, int64_t file_b)
{
    sd_status st = SD_OK;

    SD_TRY(grow(s->n_claims, &s->claim_room, sizeof *s->claim, &s->claim));
    s->claim[s->n_claims++] = (claim){{a, b}, {file_a, file_b}};

done:
    return st;
}

/* Whether a file with the tensors of this one has another content somewhere in the run: tensors
 * that are frozen all along are no news. */
static bool changes_in_run(const survey *s, int64_t run, const sd_glimpse_file *file)
{
    for (int64_t a = s->first[run]; a < s->first[run] + s->study->run[run].n_checkpoints; a++)
        for (int64_t k = 0; s->glimpse[a] != NULL && k < s->glimpse[a]->n_files; k++) {
            const sd_glimpse_file *other = &sd_glimpse_files(s->glimpse[a])[k];

            if (same_tensors(file, other) && !same_sample(file, other)) return true;
        }
    return false;
}

/* The file of checkpoint a with the content of `file`, or -1. */
static int64_t same_file(const survey *s, int64_t a, const sd_glimpse_file *file)
{
    for (int64_t k = 0; k < s->glimpse[a]->n_files; k++)
        if (same_sample(file, &sd_glimpse_files(s->glimpse[a])[k])) return k;
    return -1;
}

/* Claims files of checkpoint b that an earlier one of its run has too, while others differ. */
static sd_status claim_files(survey *s, int64_t run, int64_t b)
{
    sd_status         st = SD_OK;
    const sd_glimpse *g  = s->glimpse[b];

    for (int64_t k = 0; g->n_files > 1 && k < g->n_files; k++) {
        const sd_glimpse_file *file = &sd_glimpse_files(g)[k];

        if (!file->moves || !changes_in_run(s, run, file)) continue;
        for (int64_t a = s->first[run]; a < b; a++) {
            if (s->glimpse[a] == NULL || same_sample(&s->glimpse[a]->all, &g->all)) continue;
            const int64_t there = same_file(s, a, file);
            if (there < 0) continue;
            SD_TRY(make_claim(s, a, there, b, k));
            break;
        }
    }

done:
    return st;
}

/* The checkpoint that a fine-tune's first one may be the same as: where the parent's was taken. */
static int64_t origin(const survey *s, int64_t task)
{
    const int64_t       run = s->run_of[task];
    const sd_study_run *r   = &s->study->run[run];

    if (r->parent == NULL || task != s->first[run]) return task;
    const int64_t       parent = sd_study_find(s->study, r->parent);
    const sd_study_run *p      = &s->study->run[parent];
    int64_t             c      = p->n_checkpoints - 1;

    for (int64_t i = 0; r->parent_step >= 0 && i < p->n_checkpoints; i++)
        if (p->checkpoint[i].step == r->parent_step) c = i;
    return s->first[parent] + c;
}

/* A study may use one checkpoint in several runs. */
static bool is_listed_twice(const survey *s, int64_t a, int64_t b)
{
    return s->run_of[a] != s->run_of[b] &&
           strcmp(checkpoint_of(s, a)->file, checkpoint_of(s, b)->file) == 0;
}

/* Runs may begin with the same initialisation: both at step 0, and one of them goes on. */
static bool is_common_start(const survey *s, int64_t a, int64_t b)
{
    const int64_t run_a = s->run_of[a], run_b = s->run_of[b];

    return run_a != run_b && checkpoint_of(s, a)->step == 0 && checkpoint_of(s, b)->step == 0 &&
           s->study->run[run_a].n_checkpoints + s->study->run[run_b].n_checkpoints > 2;
}

/* Claims that a checkpoint is an earlier one, of any run, unless that is how it should be. */
static sd_status claim_checkpoint(survey *s, int64_t b)
{
    int64_t earlier = -1;

    for (int64_t a = 0; a < b; a++) {
        if (s->glimpse[a] == NULL || !same_sample(&s->glimpse[a]->all, &s->glimpse[b]->all))
            continue;
        if (origin(s, a) == origin(s, b) || is_listed_twice(s, a, b) || is_common_start(s, a, b))
            return SD_OK;
        if (earlier < 0) earlier = a;
    }
    return earlier >= 0 ? make_claim(s, earlier, -1, b, -1) : SD_OK;
}

/* ---- claims, confirmed by whole readings that the ranks share ---- */

static sd_status hash_claims(survey *s, char (*hex)[SD_XXH128_HEX])
{
    sd_status st   = SD_OK;
    int64_t   turn = 0;

    for (int64_t i = 0; i < 2 * s->n_claims; i++) {
        const int64_t task = s->claim[i / 2].task[i % 2], file = s->claim[i / 2].file[i % 2];
        bool          again = false;

        for (int64_t k = 0; k < i && !again; k++)
            again = s->claim[k / 2].task[k % 2] == task && s->claim[k / 2].file[k % 2] == file;
        if (again || turn++ % s->size != s->rank) continue;
        SD_TRY(sd_glimpse_confirm(checkpoint_of(s, task)->file, s->study->run[s->run_of[task]].base,
                                  file, s->poll, hex[i]));
    }

done:
    return st;
}

/* What was hashed for the same thing before. */
static const char *hash_of(const survey *s, const char (*hex)[SD_XXH128_HEX], int64_t i)
{
    for (int64_t k = 0; k < i; k++)
        if (s->claim[k / 2].task[k % 2] == s->claim[i / 2].task[i % 2] &&
            s->claim[k / 2].file[k % 2] == s->claim[i / 2].file[i % 2])
            return hex[k];
    return hex[i];
}

static sd_status tell_claim(survey *s, const claim *c)
{
    const sd_study_checkpoint *a = checkpoint_of(s, c->task[0]), *b = checkpoint_of(s, c->task[1]);
    const int64_t              run_a = s->run_of[c->task[0]], run_b = s->run_of[c->task[1]];

    if (c->file[1] >= 0)
        return find(s, c->task[1], b->step, SD_KIND_SHARED,
                    "%s holds the same weights as at step %" PRId64 ", while others differ",
                    sd_glimpse_files(s->glimpse[c->task[1]])[c->file[1]].shown, a->step);
    if (run_a == run_b)
        return find(s, c->task[1], b->step, SD_KIND_IDENTICAL,
                    "its weights are the same as those of step %" PRId64, a->step);
    return find(s, c->task[1], b->step, SD_KIND_IDENTICAL,
                "its weights are the same as those of step %" PRId64 " of run '%s'", a->step,
                s->study->run[run_a].name);
}

static sd_status confirm_claims(survey *s)
{
    sd_status st              = SD_OK;
    char(*hex)[SD_XXH128_HEX] = NULL;

    MPI_Bcast(&s->n_claims, 1, MPI_INT64_T, 0, s->world);
    if (s->rank != 0) st = sd_alloc(s->n_claims, sizeof *s->claim, &s->claim);
    if (st == SD_OK) st = sd_alloc(2 * s->n_claims, sizeof *hex, &hex);
    if (st == SD_OK && s->n_claims > INT_MAX / (4 * SD_XXH128_HEX))
        st = sd_fail(SD_ERR_RESOURCE, __FILE__, __LINE__, "too many identical checkpoints");
    SD_TRY(sd_agree(s->world, st));
    MPI_Bcast(s->claim, (int)(s->n_claims * (int64_t)sizeof *s->claim), MPI_BYTE, 0, s->world);
    SD_TRY(sd_agree(s->world, hash_claims(s, hex)));
    MPI_Allreduce(MPI_IN_PLACE, hex, (int)(2 * s->n_claims * SD_XXH128_HEX), MPI_UNSIGNED_CHAR,
                  MPI_MAX, s->world);
    for (int64_t i = 0; s->rank == 0 && i < s->n_claims; i++) {
        const char *a = hash_of(s, (const char(*)[SD_XXH128_HEX])hex, 2 * i);
        const char *b = hash_of(s, (const char(*)[SD_XXH128_HEX])hex, 2 * i + 1);

        if (a[0] != '\0' && strcmp(a, b) == 0) SD_TRY(tell_claim(s, &s->claim[i]));
    }

done:
    sd_free(hex);
    return st;
}

/* ---- all of it ---- */

static sd_status look_at_run(survey *s, int64_t run)
{
    sd_status     st    = SD_OK;
    const int64_t begin = s->first[run], end = begin + s->study->run[run].n_checkpoints;

    for (int64_t task = begin; task < end; task++) {
        if (s->glimpse[task] == NULL) continue;
        SD_TRY(tell_remarks(s, task));
        SD_TRY(claim_checkpoint(s, task));
        SD_TRY(claim_files(s, run, task));
    }
    SD_TRY(judge_path(s, run));
    SD_TRY(tell_holes(s, run));
    for (int64_t task = begin; task < end; task++) { /* its numbers are not needed any more */
        sd_glimpse *less = NULL;

        if (s->glimpse[task] == NULL) continue;
        SD_TRY(sd_glimpse_without_values(s->glimpse[task], &less));
        sd_free(s->glimpse[task]);
        s->glimpse[task] = less;
    }

done:
    return st;
}

static int by_order(const void *a, const void *b)
{
    const found  *x = a, *y = b;
    const int64_t one[] = {x->task, x->kind, x->step}, two[] = {y->task, y->kind, y->step};

    for (int i = 0; i < 3; i++)
        if (one[i] != two[i]) return one[i] < two[i] ? -1 : 1;
    return strcmp(x->message, y->message);
}

static sd_status hand_over(survey *s, sd_findings *out)
{
    sd_status st = SD_OK;

    SD_TRY(sd_alloc(s->n_found, sizeof *out->item, &out->item));
    if (s->n_found > 0) qsort(s->found, (size_t)s->n_found, sizeof *s->found, by_order);
    for (int64_t i = 0; i < s->n_found; i++) {
        found *f = &s->found[i];

        out->item[out->n++] = (sd_finding){.run     = s->study->run[s->run_of[f->task]].name,
                                           .path    = checkpoint_of(s, f->task)->path,
                                           .kind    = kind_names[f->kind],
                                           .message = f->message,
                                           .step    = f->step};
        f->message          = NULL;
    }

done:
    return st;
}

static sd_status number_tasks(survey *s)
{
    sd_status st = SD_OK;

    for (int64_t r = 0; r < s->study->n_runs; r++) s->n_tasks += s->study->run[r].n_checkpoints;
    SD_TRY(sd_alloc(s->n_tasks, sizeof *s->run_of, &s->run_of));
    SD_TRY(sd_alloc(s->study->n_runs, sizeof *s->first, &s->first));
    SD_TRY(sd_alloc(s->n_tasks, sizeof *s->glimpse, &s->glimpse));
    for (int64_t r = 0, task = 0; r < s->study->n_runs; r++) {
        s->first[r] = task;
        for (int64_t c = 0; c < s->study->run[r].n_checkpoints; c++) s->run_of[task++] = r;
    }

done:
    return st;
}

static void release(survey *s)
{
    for (int64_t i = 0; s->glimpse != NULL && i < s->n_tasks; i++) sd_free(s->glimpse[i]);
    for (int64_t i = 0; i < s->n_found; i++) sd_free(s->found[i].message);
    sd_free(s->glimpse);
    sd_free(s->found);
    sd_free(s->claim);
    sd_free(s->run_of);
    sd_free(s->first);
}

sd_status sd_survey(MPI_Comm world, const sd_study *study, const sd_poll *poll,
                    sd_findings *findings)
{
    sd_status st = SD_OK;
    survey    s  = {.world = world, .study = study, .poll = poll};

    *findings = (sd_findings){0};
    MPI_Comm_rank(world, &s.rank);
    MPI_Comm_size(world, &s.size);
    SD_TRY(sd_agree(world, number_tasks(&s)));
    for (int64_t run = 0; run < study->n_runs; run++) {
        SD_TRY(gather_run(&s, run));
        SD_TRY(sd_agree(world, s.rank == 0 ? look_at_run(&s, run) : SD_OK));
    }
    SD_TRY(confirm_claims(&s));
    SD_TRY(sd_agree(world, hand_over(&s, findings)));

done:
    release(&s);
    return st;
}

void sd_findings_release(sd_findings *findings)
{
    for (int64_t i = 0; i < findings->n; i++) sd_free((char *)(uintptr_t)findings->item[i].message);
    sd_free(findings->item);
    *findings = (sd_findings){0};
}
