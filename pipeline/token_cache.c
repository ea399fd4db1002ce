/* The ids of a study's text for one checkpoint: found by the team's leader, sent to the others. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "io/digest.h"
#include "io/tokenizer/tokenizer.h"
#include "pipeline/token_cache.h"
#include "solvers/base/agree.h"
#include "solvers/base/memory.h"

struct sd_token_cache {
    char    *tokenizer; /* the file that the stream was made with                 */
    int32_t *stream;    /* the whole text, encoded                                */
    int64_t  n;
};

sd_status sd_token_cache_create(sd_token_cache **out)
{
    return sd_alloc(1, sizeof **out, out);
}

static void forget(sd_token_cache *cache)
{
    sd_free(cache->tokenizer);
    sd_free(cache->stream);
    *cache = (sd_token_cache){0};
}

void sd_token_cache_destroy(sd_token_cache **cache)
{
    if (*cache == NULL) return;
    forget(*cache);
    sd_free(*cache);
    *cache = NULL;
}

/* ---- which tokeniser ---- */

static bool exists(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0;
}

/* The tokenizer.json beside the checkpoint's weights, else that of the folder above; else NULL. */
static sd_status beside_checkpoint(const sd_checkpoint *checkpoint, char **out)
{
    static const char *const places[] = {"%s/tokenizer.json", "%s/../tokenizer.json"};
    sd_status                st       = SD_OK;
    const char              *folder   = sd_checkpoint_folder(checkpoint);
    const size_t             bytes    = strlen(folder) + 32;

    SD_TRY(sd_alloc((int64_t)bytes, 1, out));
    for (int i = 0; i < 2; i++) {
        snprintf(*out, bytes, i == 0 ? places[0] : places[1], folder);
        if (exists(*out)) goto done;
    }
    sd_free(*out);
    *out = NULL;

done:
    return st;
}

static sd_status tokenizer_of(const sd_measure_job *job, const sd_checkpoint *checkpoint,
                              char **out)
{
    sd_status st = SD_OK;

    if (job->run->tokenizer != NULL) return sd_copy_string(job->run->tokenizer, out);
    if (job->study->tokenizer != NULL) return sd_copy_string(job->study->tokenizer, out);
    for (; checkpoint != NULL && *out == NULL; checkpoint = sd_checkpoint_base(checkpoint)) {
        SD_TRY(sd_checkpoint_tokenizer(checkpoint, out));
        if (*out == NULL) SD_TRY(beside_checkpoint(checkpoint, out));
    }
    SD_REQUIRE(*out != NULL, SD_ERR_INPUT,
               "no tokenizer.json in the checkpoint or in the folder above it; name one with "
               "'tokenizer' in the study, or give ready ids");

done:
    return st;
}

/* ---- encoding ---- */

static sd_status encode(sd_token_cache *cache, const sd_measure_job *job,
                        const sd_checkpoint *checkpoint)
{
    sd_status     st        = SD_OK;
    sd_tokenizer *tokenizer = NULL;
    char         *path = NULL, *text = NULL;
    int64_t       length;

    SD_TRY(tokenizer_of(job, checkpoint, &path));
    if (cache->tokenizer != NULL && strcmp(cache->tokenizer, path) == 0) goto done;
    forget(cache);
    SD_TRY(sd_text_read(job->study->text, &text, &length));
    SD_TRY(sd_tokenizer_read(path, &tokenizer));
    SD_TRY(sd_tokenizer_encode(tokenizer, text, length, &cache->stream, &cache->n));
    cache->tokenizer = path;
    path             = NULL;

done:
    sd_tokenizer_destroy(&tokenizer);
    sd_free(text);
    sd_free(path);
    return st;
}

static sd_status from_ids(const sd_study *study, int32_t bos, sd_ids **out)
{
    sd_status st  = SD_OK;
    sd_ids   *all = NULL;

    SD_TRY(sd_ids_read(study->text, &all));
    if (study->measure.written) {
        SD_TRY(sd_ids_trim(all, study->measure.sequences, study->measure.length, bos, out));
    } else {
        *out = all;
        all  = NULL;
    }

done:
    sd_ids_destroy(&all);
    return st;
}

static sd_status on_leader(sd_token_cache *cache, const sd_measure_job *job,
                           const sd_checkpoint *checkpoint, int64_t bos, sd_ids **out)
{
    sd_status       st    = SD_OK;
    const sd_study *study = job->study;

    SD_REQUIRE(!study->measure.bos || (bos >= 0 && bos <= INT32_MAX), SD_ERR_INPUT,
               "'measure.bos' wants a BOS token and the config has no 'bos_token_id'");
    const int32_t front = study->measure.bos ? (int32_t)bos : -1;
    if (study->text_is_ids) {
        SD_TRY(from_ids(study, front, out));
    } else {
        SD_TRY(encode(cache, job, checkpoint));
        SD_TRY(sd_ids_cut(cache->stream, cache->n, study->measure.sequences, study->measure.length,
                          front, out));
    }

done:
    return st;
}

/* ---- sending ---- */

static sd_status allocate(int64_t n_sequences, int64_t n_tokens, sd_ids **out)
{
    sd_status st = SD_OK;

    SD_TRY(sd_alloc(1, sizeof **out, out));
    (*out)->n_sequences = n_sequences;
    (*out)->n_tokens    = n_tokens;
    SD_TRY(sd_alloc(n_sequences + 1, sizeof *(*out)->first, &(*out)->first));
    SD_TRY(sd_alloc(n_tokens, sizeof *(*out)->id, &(*out)->id));

done:
    return st;
}

sd_status sd_token_ids(sd_token_cache *cache, const sd_measure_job *job,
                       const sd_checkpoint *checkpoint, int64_t bos, sd_ids **out)
{
    sd_status st      = SD_OK;
    int64_t   size[2] = {0, 0};
    int       rank;

    *out = NULL;
    MPI_Comm_rank(job->team, &rank);
    if (rank == 0) {
        st = on_leader(cache, job, checkpoint, bos, out);
        if (st == SD_OK && (*out)->n_tokens > INT_MAX)
            st = sd_fail(SD_ERR_INPUT, __FILE__, __LINE__, "more than %d tokens", INT_MAX);
        if (st == SD_OK) {
            size[0] = (*out)->n_sequences;
            size[1] = (*out)->n_tokens;
        }
    }
    SD_TRY(sd_agree(job->team, st));
    MPI_Bcast(size, 2, MPI_INT64_T, 0, job->team);
    SD_TRY(sd_agree(job->team, rank == 0 ? SD_OK : allocate(size[0], size[1], out)));
    MPI_Bcast((*out)->first, (int)size[0] + 1, MPI_INT64_T, 0, job->team);
    MPI_Bcast((*out)->id, (int)size[1], MPI_INT32_T, 0, job->team);

done:
    if (st != SD_OK) sd_ids_destroy(out);
    return st;
}
