/* What a unit was made from: the checkpoint's fingerprint, and the key of everything else. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/measurement.h"
#include "solvers/base/agree.h"
#include "solvers/base/memory.h"

/* Part of every unit's key: raise it with a change that changes numbers, and old units are redone.
 */
static const char NUMERIC_VERSION[] = "3";

enum { MORE = 1024 }; /* bytes: a sign for each layer with a window, and twelve numbers */

/* Of several ranks with a damaged tensor the first tensor's speaks: the same for any team. */
static sd_status first_fault(const sd_measurement *m, int64_t bad, sd_status st)
{
    int64_t first = bad;

    MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT64_T, MPI_MIN, m->job->team);
    if (st == SD_ERR_INPUT && bad != first) {
        sd_clear();
        st = SD_OK;
    }
    return sd_agree(m->job->team, st);
}

/* Hashes the tensors that were not hashed while they streamed by, spread over the team. */
sd_status sd_identity_complete(sd_measurement *m)
{
    sd_status     st = SD_OK;
    const int64_t n  = sd_checkpoint_count(m->checkpoint);

    MPI_Allreduce(MPI_IN_PLACE, m->digest, (int)(n * SD_XXH128_HEX), MPI_UNSIGNED_CHAR, MPI_MAX,
                  m->job->team);
    int64_t bad = n;
    for (int64_t i = 0, open = 0; st == SD_OK && i < n; i++) {
        if (m->digest[i][0] != '\0' || open++ % m->size != m->rank) continue;
        st = sd_tensor_digest(m->checkpoint, i, true, m->job->poll, m->digest[i]);
        if (st != SD_OK) bad = i;
    }
    SD_TRY(first_fault(m, bad, st));
    MPI_Allreduce(MPI_IN_PLACE, m->digest, (int)(n * SD_XXH128_HEX), MPI_UNSIGNED_CHAR, MPI_MAX,
                  m->job->team);
    SD_TRY(sd_agree(
        m->job->team,
        sd_fingerprint(m->checkpoint, (const char(*)[SD_XXH128_HEX])m->digest, m->fingerprint)));

done:
    return st;
}

/* What only some models have, so that the keys of the others stay what they were; "" without it. */
static void describe_more(const sd_model *m, char out[MORE])
{
    const sd_rope_options *r    = &m->local_rope;
    size_t                 used = 0;

    out[0] = '\0';
    if (m->norm_offset == 0 && m->embedding_scale == 0 && m->attention_scale == 0 &&
        m->softcap == 0 && m->window == 0)
        return;
    used = (size_t)snprintf(out, MORE,
                            " offset=%.17g embedding=%.17g scale=%.17g cap=%.17g window=%" PRId64
                            " rope=%d theta=%.17g factor=%.17g low=%.17g high=%.17g "
                            "original=%.17g local=",
                            m->norm_offset, m->embedding_scale, m->attention_scale, m->softcap,
                            m->window, (int)r->kind, r->theta, r->factor, r->low_freq_factor,
                            r->high_freq_factor, r->original_positions);
    for (int64_t l = 0; m->window > 0 && l < m->n_layers && l < SD_MOST_LOCAL; l++)
        out[used++] = m->local[l] ? '1' : '0';
    out[used] = '\0';
}

/* Hash of what determines the numbers beside the checkpoint's bytes: settings, config and ids. */
sd_status sd_identity_key(sd_measurement *m)
{
    sd_status       st       = SD_OK;
    sd_digest      *digest   = NULL;
    char           *settings = NULL;
    const sd_model *model    = &m->model;
    char            config[512], more[MORE];

    snprintf(config, sizeof config,
             "%s wiring=%d act=%d heads=%" PRId64 " kv=%" PRId64 " head=%" PRId64
             " eps=%.17g rope=%d theta=%.17g factor=%.17g low=%.17g high=%.17g original=%.17g",
             m->family->name, (int)model->wiring, (int)model->act, model->n_heads, model->n_kv,
             model->d_head, model->norm_eps, (int)model->rope.kind, model->rope.theta,
             model->rope.factor, model->rope.low_freq_factor, model->rope.high_freq_factor,
             model->rope.original_positions);
    describe_more(model, more);
    SD_TRY(sd_study_settings(m->job->study, &settings));
    SD_TRY(sd_digest_create(SD_DIGEST_SHA256, &digest));
    SD_TRY(sd_digest_add(digest, NUMERIC_VERSION, sizeof NUMERIC_VERSION));
    SD_TRY(sd_digest_add(digest, settings, (int64_t)strlen(settings) + 1));
    SD_TRY(sd_digest_add(digest, config, (int64_t)strlen(config) + 1));
    if (more[0] != '\0') SD_TRY(sd_digest_add(digest, more, (int64_t)strlen(more) + 1));
    SD_TRY(sd_digest_add(digest, m->ids->first,
                         (m->ids->n_sequences + 1) * (int64_t)sizeof *m->ids->first));
    SD_TRY(sd_digest_add(digest, m->ids->id, m->ids->n_tokens * (int64_t)sizeof *m->ids->id));
    SD_TRY(sd_digest_hex(digest, m->key));

done:
    sd_digest_destroy(&digest);
    sd_free(settings);
    return st;
}

/* Whether the unit on disk was made from this checkpoint with these settings. Anything wrong with
 * the file means no: it is computed again. */
sd_status sd_identity_unit_is_current(sd_measurement *m, bool *current)
{
    sd_status st    = SD_OK;
    sd_unit  *there = NULL;
    int       same  = 0;

    if (m->rank == 0 && sd_unit_read(m->job->unit_file, &there) == SD_OK)
        same = strcmp(there->info.key, m->key) == 0;
    if (m->rank == 0 && same == 0) sd_clear();
    MPI_Bcast(&same, 1, MPI_INT, 0, m->job->team);
    *current = false;
    if (same == 0) goto done;
    SD_TRY(sd_identity_complete(m));
    if (m->rank == 0) same = strcmp(there->info.fingerprint, m->fingerprint) == 0;
    MPI_Bcast(&same, 1, MPI_INT, 0, m->job->team);
    *current = same != 0;

done:
    sd_unit_destroy(&there);
    return st;
}
