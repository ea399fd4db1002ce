#include "pipeline/run.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/lock.h"
#include "io/text.h"
#include "io/tokenizer/tokenizer.h"
#include "pipeline/figures.h"
#include "pipeline/interrupt.h"
#include "pipeline/libraries.h"
#include "pipeline/measure.h"
#include "pipeline/merge.h"
#include "pipeline/progress.h"
#include "pipeline/schedule.h"
#include "pipeline/study.h"
#include "pipeline/survey.h"
#include "solvers/base/agree.h"
#include "solvers/base/memory.h"
#include "solvers/spectral/spectral.h"

static const double LOCK_WAIT_S = 10;

/* One entry per checkpoint, runs end to end. */
typedef struct {
    int64_t run, checkpoint;
} task;

typedef struct {
    MPI_Comm            world;
    int                 rank, size;
    const sd_arguments *arguments;
    const char         *command_line;
    sd_study           *study;
    char               *folder;
    sd_lock            *lock;
    int64_t             n_tasks;
    task               *task;
    sd_outcome      *outcome; /* complete on rank 0 after gathering; elsewhere what was seen here */
    sd_findings      findings; /* of the survey; on rank 0 */
    sd_schedule     *schedule;
    sd_poll          poll;
    sd_progress_view progress;
} run_state;

/* ---- the study, the same on every rank ---- */

static sd_status broadcast_text(MPI_Comm world, int rank, char **text, int64_t *bytes)
{
    sd_status st = SD_OK;

    MPI_Bcast(bytes, 1, MPI_INT64_T, 0, world);
    SD_REQUIRE(*bytes < INT_MAX, SD_ERR_USAGE, "%" PRId64 " bytes are no study", *bytes);
    if (rank != 0) st = sd_alloc(*bytes + 1, 1, text);
    SD_TRY(sd_agree(world, st));
    MPI_Bcast(*text, (int)*bytes, MPI_CHAR, 0, world);

done:
    return st;
}

/* Rank 0 reads the file and looks into the folders, so that all see the same. */
static sd_status read_study(run_state *r)
{
    sd_status   st   = SD_OK;
    const char *path = r->arguments->operand;
    char       *text = NULL, *list = NULL;
    int64_t     bytes = 0, list_bytes = 0;

    if (r->rank == 0 && (st = sd_file_read(path, &text, &bytes)) == SD_ERR_INPUT)
        st = SD_ERR_USAGE; /* the study file is the command line's longer half */
    SD_TRY(sd_agree(r->world, st));
    SD_TRY(broadcast_text(r->world, r->rank, &text, &bytes));
    SD_TRY(sd_agree(r->world, sd_study_parse(text, bytes, path, &r->study)));
    if (r->rank == 0) st = sd_study_list(r->study, &list, &list_bytes);
    SD_TRY(sd_agree(r->world, st));
    SD_TRY(broadcast_text(r->world, r->rank, &list, &list_bytes));
    SD_TRY(sd_agree(r->world, sd_study_fill(r->study, list, list_bytes)));

done:
    sd_free(text);
    sd_free(list);
    return st;
}

/* A fault of an input that all checkpoints share, told once with the study's key. */
static sd_status blame(const run_state *r, const char *key, sd_status st)
{
    char text[SD_MESSAGE_LEN];

    if (st == SD_OK) return st;
    snprintf(text, sizeof text, "%s", sd_message());
    sd_clear();
    return sd_fail(st, __FILE__, __LINE__, "%s: '%s': %s", r->study->shown, key, text);
}

static bool uses_common_tokenizer(const sd_study *study)
{
    if (study->tokenizer == NULL || study->text_is_ids) return false;
    for (int64_t i = 0; i < study->n_runs; i++)
        if (study->run[i].tokenizer == NULL) return true;
    return false;
}

/* Without its text, or its tokeniser, nothing of a study can be measured: better one line now than
 * one per checkpoint. */
static sd_status check_text(const run_state *r)
{
    sd_status       st        = SD_OK;
    const sd_study *study     = r->study;
    sd_tokenizer   *tokenizer = NULL;
    sd_ids         *ids       = NULL;
    char           *text      = NULL;
    int64_t         length    = 0;

    if (study->text_is_ids)
        SD_TRY(blame(r, "text", sd_ids_read(study->text, &ids)));
    else
        SD_TRY(blame(r, "text", sd_text_read(study->text, &text, &length)));
    if (uses_common_tokenizer(study))
        SD_TRY(blame(r, "tokenizer", sd_tokenizer_read(study->tokenizer, &tokenizer)));

done:
    sd_tokenizer_destroy(&tokenizer);
    sd_ids_destroy(&ids);
    sd_free(text);
    return st;
}

static sd_status list_tasks(run_state *r)
{
    sd_status st = SD_OK;
    int64_t   n  = 0;

    for (int64_t i = 0; i < r->study->n_runs; i++) n += r->study->run[i].n_checkpoints;
    SD_TRY(sd_alloc(n, sizeof *r->task, &r->task));
    SD_TRY(sd_alloc(n, sizeof *r->outcome, &r->outcome));
    for (int64_t i = 0; i < r->study->n_runs; i++)
        for (int64_t c = 0; c < r->study->run[i].n_checkpoints; c++)
            r->task[r->n_tasks++] = (task){i, c};

done:
    return st;
}

/* ---- the result folder ---- */

/* results/<name of the study file> in the current folder, or what -o says. */
static sd_status choose_folder(run_state *r)
{
    sd_status   st    = SD_OK;
    const char *study = r->arguments->operand, *slash = strrchr(study, '/');
    const char *name = slash != NULL ? slash + 1 : study;
    const char *dot  = strrchr(name, '.');
    const int   stem = (int)(dot != NULL && dot != name ? (size_t)(dot - name) : strlen(name));

    if (r->arguments->output != NULL) return sd_copy_string(r->arguments->output, &r->folder);
    SD_TRY(sd_alloc(stem + 16, 1, &r->folder));
    snprintf(r->folder, (size_t)stem + 16, "results/%.*s", stem, name);

done:
    return st;
}

/* mkdir -p */
static sd_status make_folder(const char *path)
{
    sd_status st   = SD_OK;
    char     *part = NULL;

    SD_TRY(sd_copy_string(path, &part));
    for (char *c = part + 1;; c++) {
        const char here = *c;

        if (here != '/' && here != '\0') continue;
        *c = '\0';
        SD_REQUIRE(mkdir(part, 0777) == 0 || errno == EEXIST, SD_ERR_RESOURCE,
                   "cannot make the folder '%s': %s", part, strerror(errno));
        *c = here;
        if (here == '\0') break;
    }

done:
    sd_free(part);
    return st;
}

static sd_status make_unit_folders(const run_state *r)
{
    sd_status st   = SD_OK;
    char     *path = NULL;

    for (int64_t i = 0; i < r->study->n_runs; i++) {
        SD_TRY(sd_unit_path(r->folder, r->study->run[i].name, 0, &path));
        *strrchr(path, '/') = '\0';
        SD_TRY(make_folder(path));
        sd_free(path);
        path = NULL;
    }

done:
    sd_free(path);
    return st;
}

static sd_status open_on_first(run_state *r)
{
    sd_status st = SD_OK;

    SD_TRY(make_folder(r->folder));
    SD_TRY(sd_lock_take(r->folder, LOCK_WAIT_S, &r->lock));
    SD_TRY(sd_results_clean(r->folder));
    SD_TRY(make_unit_folders(r));

done:
    return st;
}

static sd_status open_folder(run_state *r)
{
    sd_status st = SD_OK;

    SD_TRY(sd_agree(r->world, choose_folder(r)));
    if (r->rank == 0) st = open_on_first(r);
    SD_TRY(sd_agree(r->world, st));
    if (r->rank != 0) st = sd_lock_join(r->folder, &r->lock);
    SD_TRY(sd_agree(r->world, st));

done:
    return st;
}

/* ---- checkpoints ---- */

/* A message that travelled over ranks says which of them it came from; the same study must say the
 * same on any number of ranks. */
static const char *without_rank(const char *message)
{
    int used = 0;

    sscanf(message, "rank %*d: %n", &used);
    return message + used;
}

/* A checkpoint at fault is told and left behind; the others go on. Collective on the team. */
static sd_status take_failure(run_state *r, int64_t t, const sd_study_checkpoint *checkpoint)
{
    const MPI_Comm team = sd_schedule_team(r->schedule);
    sd_status      st   = SD_OK;
    char           line[PATH_MAX + SD_MESSAGE_LEN], why[SD_MESSAGE_LEN];
    int            rank;

    MPI_Comm_rank(team, &rank);
    snprintf(why, sizeof why, "%s", without_rank(sd_message()));
    sd_clear();
    if (rank == 0) {
        snprintf(line, sizeof line, "%s: %s", checkpoint->path, why);
        sd_progress_message(&r->progress, line);
        st = sd_copy_string(why, &r->outcome[t].message);
    }
    return sd_agree(team, st); /* the others would go on to the next task without their leader */
}

static sd_status measure_task(run_state *r, int64_t t, sd_token_cache *cache)
{
    sd_status                  st         = SD_OK;
    const sd_study_run        *run        = &r->study->run[r->task[t].run];
    const sd_study_checkpoint *checkpoint = &run->checkpoint[r->task[t].checkpoint];
    char                      *file       = NULL;
    sd_measure_outcome         outcome    = SD_MEASURED;
    const double               begin      = MPI_Wtime();
    int                        rank;

    MPI_Comm_rank(sd_schedule_team(r->schedule), &rank);
    SD_TRY(sd_agree(sd_schedule_team(r->schedule),
                    sd_unit_path(r->folder, run->name, checkpoint->step, &file)));
    const sd_measure_job job = {r->study, run, checkpoint, sd_schedule_team(r->schedule),
                                &r->poll, file};
    st                       = sd_measure(&job, cache, &outcome);
    const bool failed        = st == SD_ERR_INPUT;
    if (failed) SD_TRY(take_failure(r, t, checkpoint));
    if (!failed) SD_TRY(st);
    st = SD_OK;
    if (rank != 0) goto done;
    r->outcome[t].complete = !failed;
    sd_progress_show(&r->progress, sd_schedule_count_done(r->schedule), run->name, checkpoint->step,
                     failed               ? "failed"
                     : outcome == SD_KEPT ? "kept"
                                          : "measured",
                     MPI_Wtime() - begin);

done:
    sd_free(file);
    return st;
}

static sd_status measure_all(run_state *r)
{
    sd_status       st    = SD_OK;
    sd_token_cache *cache = NULL;

    SD_TRY(sd_agree(sd_schedule_team(r->schedule), sd_token_cache_create(&cache)));
    for (int64_t t; (t = sd_schedule_next(r->schedule)) >= 0;) SD_TRY(measure_task(r, t, cache));

done:
    if (st != SD_OK) sd_schedule_stop(r->schedule);
    sd_token_cache_destroy(&cache);
    return st;
}

/* Tells what is conspicuous before the computing: it is measured all the same. */
static sd_status survey(run_state *r)
{
    sd_status st = SD_OK;
    char      line[PATH_MAX + SD_MESSAGE_LEN];

    SD_TRY(sd_survey(r->world, r->study, &r->poll, &r->findings));
    for (int64_t i = 0; i < r->findings.n; i++) {
        snprintf(line, sizeof line, "%s: %s", r->findings.item[i].path,
                 r->findings.item[i].message);
        sd_progress_message(&r->progress, line);
    }

done:
    return st;
}

/* ---- gathering what became of the checkpoints ---- */

enum { MESSAGE = SD_MESSAGE_LEN };

/* Failures are few: each is sent as the task's number and its message. */
typedef struct {
    int64_t task;
    char    message[MESSAGE];
} failure_record;

static sd_status pack_failures(const run_state *r, failure_record **out, int *n)
{
    sd_status st = SD_OK;

    *n = 0;
    for (int64_t t = 0; t < r->n_tasks; t++) *n += r->outcome[t].message != NULL;
    SD_TRY(sd_alloc(*n, sizeof **out, out));
    *n = 0;
    for (int64_t t = 0; t < r->n_tasks; t++) {
        if (r->outcome[t].message == NULL) continue;
        failure_record *record = &(*out)[(*n)++];

        record->task = t;
        snprintf(record->message, MESSAGE, "%s", r->outcome[t].message);
    }

done:
    return st;
}

static sd_status gather_failures(run_state *r)
{
    sd_status       st   = SD_OK;
    failure_record *mine = NULL, *all = NULL;
    int             n = 0, *count = NULL, *offset = NULL, total = 0;
    MPI_Datatype    record;

    MPI_Type_contiguous((int)sizeof(failure_record), MPI_BYTE, &record);
    MPI_Type_commit(&record);
    st = pack_failures(r, &mine, &n);
    if (st == SD_OK) st = sd_alloc(r->size, sizeof *count, &count);
    if (st == SD_OK) st = sd_alloc(r->size, sizeof *offset, &offset);
    SD_TRY(sd_agree(r->world, st));
    MPI_Gather(&n, 1, MPI_INT, count, 1, MPI_INT, 0, r->world);
    for (int i = 0; i < r->size; i++) {
        offset[i] = total;
        total += count[i];
    }
    SD_TRY(sd_agree(r->world, sd_alloc(total, sizeof *all, &all)));
    MPI_Gatherv(mine, n, record, all, count, offset, record, 0, r->world);
    for (int i = 0; st == SD_OK && r->rank == 0 && i < total; i++)
        if (r->outcome[all[i].task].message == NULL)
            st = sd_copy_string(all[i].message, &r->outcome[all[i].task].message);
    SD_TRY(sd_agree(r->world, st));

done:
    MPI_Type_free(&record);
    sd_free(mine);
    sd_free(all);
    sd_free(count);
    sd_free(offset);
    return st;
}

static sd_status gather_outcomes(run_state *r)
{
    sd_status      st   = SD_OK;
    unsigned char *done = NULL;

    SD_TRY(sd_agree(r->world, sd_alloc(r->n_tasks, 1, &done)));
    for (int64_t t = 0; t < r->n_tasks; t++) done[t] = r->outcome[t].complete;
    MPI_Reduce(r->rank == 0 ? MPI_IN_PLACE : done, done, (int)r->n_tasks, MPI_UNSIGNED_CHAR,
               MPI_MAX, 0, r->world);
    for (int64_t t = 0; r->rank == 0 && t < r->n_tasks; t++) r->outcome[t].complete = done[t] != 0;
    SD_TRY(gather_failures(r));

done:
    sd_free(done);
    return st;
}

/* ---- the end: study.h5 and its figures, by the first rank ---- */

static void now(char *text, size_t bytes)
{
    const time_t t = time(NULL);
    struct tm    parts;

    gmtime_r(&t, &parts);
    strftime(text, bytes, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static sd_status merge_units(run_state *r)
{
    char created[32], host[256] = "", libraries[SD_LIBRARIES_BYTES];

    now(created, sizeof created);
    gethostname(host, sizeof host - 1);
    sd_libraries(libraries, sizeof libraries);
    const sd_provenance provenance = {.created   = created,
                                      .host      = host,
                                      .libraries = libraries,
                                      .command   = r->command_line,
                                      .ranks     = r->size};
    return sd_merge(r->study, r->folder, r->outcome, &r->findings, &provenance);
}

static sd_status draw_figures(const run_state *r)
{
    sd_status   st      = SD_OK;
    sd_results *results = NULL;
    char       *path    = NULL;
    size_t      bytes   = strlen(r->folder) + 16;

    if (r->study->figures[0] == NULL) return SD_OK;
    SD_TRY(sd_alloc((int64_t)bytes, 1, &path));
    snprintf(path, bytes, "%s/study.h5", r->folder);
    SD_TRY(sd_results_open(path, &results));
    snprintf(path, bytes, "%s/figures", r->folder);
    SD_TRY(make_folder(path));
    SD_TRY(sd_figures_draw(results, path, r->study->figures));

done:
    sd_results_close(&results);
    sd_free(path);
    return st;
}

static sd_status finish_on_first(run_state *r, int64_t *n_failed)
{
    sd_status st     = SD_OK;
    int64_t   failed = 0;

    SD_TRY(merge_units(r));
    for (int64_t t = 0; t < r->n_tasks; t++) failed += r->outcome[t].message != NULL;
    *n_failed = failed;
    if (failed < r->n_tasks) SD_TRY(draw_figures(r));
    if (r->arguments->progress != SD_PROGRESS_NONE)
        fprintf(stderr, "%" PRId64 " of %" PRId64 " checkpoints are in %s/study.h5%s\n",
                r->n_tasks - failed, r->n_tasks, r->folder,
                failed > 0 ? "; the same command tries the others again" : "");

done:
    return st;
}

static void release(run_state *r)
{
    sd_schedule_destroy(&r->schedule);
    for (int64_t t = 0; r->outcome != NULL && t < r->n_tasks; t++) sd_free(r->outcome[t].message);
    sd_free(r->outcome);
    sd_findings_release(&r->findings);
    sd_free(r->task);
    sd_lock_release(&r->lock);
    sd_free(r->folder);
    sd_study_destroy(&r->study);
}

sd_status sd_run(MPI_Comm world, const sd_arguments *arguments, const char *command_line)
{
    sd_status st       = SD_OK;
    run_state r        = {.world = world, .arguments = arguments, .command_line = command_line};
    int64_t   n_failed = 0;

    MPI_Comm_rank(world, &r.rank);
    MPI_Comm_size(world, &r.size);
    r.poll = (sd_poll){sd_interrupt_poll, &r.world};
    SD_TRY(read_study(&r));
    SD_TRY(sd_agree(world, r.rank == 0 ? check_text(&r) : SD_OK));
    SD_TRY(sd_agree(world, list_tasks(&r)));
    SD_TRY(open_folder(&r));
    r.progress = sd_progress_start(arguments->progress, r.n_tasks);
    SD_TRY(survey(&r));
    SD_TRY(sd_agree(world, sd_spectral_start()));
    SD_TRY(sd_schedule_create(world, r.study->team_size, r.n_tasks, &r.schedule));
    st = sd_agree(world, measure_all(&r));
    if (r.rank == 0) sd_progress_end(&r.progress); /* whatever is said next starts a line */
    SD_TRY(st);
    SD_TRY(gather_outcomes(&r));
    SD_TRY(sd_agree(world, r.rank == 0 ? finish_on_first(&r, &n_failed) : SD_OK));
    MPI_Bcast(&n_failed, 1, MPI_INT64_T, 0, world);
    if (n_failed > 0) st = SD_ERR_INPUT; /* each was told when it happened */

done:
    release(&r);
    sd_spectral_stop();
    return st;
}
