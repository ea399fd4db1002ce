#include "pipeline/measure.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "io/checkpoint.h"
#include "io/fingerprint.h"
#include "pipeline/load_block.h"
#include "pipeline/model.h"
#include "pipeline/phenomenon.h"
#include "pipeline/stages/stage.h"
#include "pipeline/states.h"
#include "pipeline/token_cache.h"
#include "solvers/base/agree.h"
#include "solvers/base/memory.h"
#include "solvers/sampled_fit.h"

/* Part of every unit's key: raise it with a change that changes numbers, and old units are redone.
 */
static const char NUMERIC_VERSION[] = "1";

/* Everything about the checkpoint in hand. */
typedef struct {
    const sd_measure_job *job;
    int                   rank, size;
    sd_checkpoint        *checkpoint;
    const sd_family      *family;
    sd_model              model;
    sd_ids               *ids;
    char (*digest)[SD_XXH128_HEX]; /* per tensor; "" until it is hashed           */
    char           fingerprint[SD_FINGERPRINT_LEN];
    char           key[SD_SHA256_HEX];
    sd_unit       *unit; /* complete on the leader; elsewhere the own layers */
    sd_states     *states;
    sd_phenomenon *phenomenon;
    sd_grid       *grid; /* when a stage wants it                       */
    /* The layer that this rank owns in the current round. */
    int64_t          layer; /* -1: none */
    sd_loaded_block *loaded;
    float           *sample;
} measurement;

static MPI_Comm team_of(const measurement *m)
{
    return m->job->team;
}

/* ---- identity ---- */

/* Of several ranks with a damaged tensor the first tensor's speaks: the same for any team. */
static sd_status first_fault(const measurement *m, int64_t bad, sd_status st)
{
    int64_t first = bad;

    MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT64_T, MPI_MIN, team_of(m));
    if (st == SD_ERR_INPUT && bad != first) {
        sd_clear();
        st = SD_OK;
    }
    return sd_agree(team_of(m), st);
}

/* Hashes the tensors that were not hashed while they streamed by, spread over the team. */
static sd_status complete_digests(measurement *m)
{
    sd_status     st = SD_OK;
    const int64_t n  = sd_checkpoint_count(m->checkpoint);

    MPI_Allreduce(MPI_IN_PLACE, m->digest, (int)(n * SD_XXH128_HEX), MPI_UNSIGNED_CHAR, MPI_MAX,
                  team_of(m));
    int64_t bad = n;
    for (int64_t i = 0, open = 0; st == SD_OK && i < n; i++) {
        if (m->digest[i][0] != '\0' || open++ % m->size != m->rank) continue;
        st = sd_tensor_digest(m->checkpoint, i, true, m->job->poll, m->digest[i]);
        if (st != SD_OK) bad = i;
    }
    SD_TRY(first_fault(m, bad, st));
    MPI_Allreduce(MPI_IN_PLACE, m->digest, (int)(n * SD_XXH128_HEX), MPI_UNSIGNED_CHAR, MPI_MAX,
                  team_of(m));
    SD_TRY(
        sd_agree(team_of(m), sd_fingerprint(m->checkpoint, (const char(*)[SD_XXH128_HEX])m->digest,
                                            m->fingerprint)));

done:
    return st;
}

/* Hash of what determines the numbers beside the checkpoint's bytes: settings, config and ids. */
static sd_status make_key(measurement *m)
{
    sd_status       st       = SD_OK;
    sd_digest      *digest   = NULL;
    char           *settings = NULL;
    const sd_model *model    = &m->model;
    char            config[512];

    snprintf(config, sizeof config,
             "%s wiring=%d act=%d heads=%" PRId64 " kv=%" PRId64 " head=%" PRId64
             " eps=%.17g rope=%d theta=%.17g factor=%.17g low=%.17g high=%.17g original=%.17g",
             m->family->name, (int)model->wiring, (int)model->act, model->n_heads, model->n_kv,
             model->d_head, model->norm_eps, (int)model->rope.kind, model->rope.theta,
             model->rope.factor, model->rope.low_freq_factor, model->rope.high_freq_factor,
             model->rope.original_positions);
    SD_TRY(sd_study_settings(m->job->study, &settings));
    SD_TRY(sd_digest_create(SD_DIGEST_SHA256, &digest));
    SD_TRY(sd_digest_add(digest, NUMERIC_VERSION, sizeof NUMERIC_VERSION));
    SD_TRY(sd_digest_add(digest, settings, (int64_t)strlen(settings) + 1));
    SD_TRY(sd_digest_add(digest, config, (int64_t)strlen(config) + 1));
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
static sd_status unit_is_current(measurement *m, bool *current)
{
    sd_status st    = SD_OK;
    sd_unit  *there = NULL;
    int       same  = 0;

    if (m->rank == 0 && sd_unit_read(m->job->unit_file, &there) == SD_OK)
        same = strcmp(there->info.key, m->key) == 0;
    if (m->rank == 0 && same == 0) sd_clear();
    MPI_Bcast(&same, 1, MPI_INT, 0, team_of(m));
    *current = false;
    if (same == 0) goto done;
    SD_TRY(complete_digests(m));
    if (m->rank == 0) same = strcmp(there->info.fingerprint, m->fingerprint) == 0;
    MPI_Bcast(&same, 1, MPI_INT, 0, team_of(m));
    *current = same != 0;

done:
    sd_unit_destroy(&there);
    return st;
}

/* ---- opening ---- */

static sd_status open_checkpoint(measurement *m)
{
    sd_status st = SD_OK;

    st = sd_checkpoint_open(m->job->checkpoint->file, &m->checkpoint);
    if (st == SD_OK) st = sd_model_open(m->checkpoint, &m->family, &m->model);
    if (st == SD_OK) st = sd_alloc(sd_checkpoint_count(m->checkpoint), SD_XXH128_HEX, &m->digest);
    if (st == SD_OK && sd_checkpoint_count(m->checkpoint) > INT_MAX / SD_XXH128_HEX)
        st = sd_fail(SD_ERR_INPUT, __FILE__, __LINE__, "%" PRId64 " tensors are too many",
                     sd_checkpoint_count(m->checkpoint));
    SD_TRY(sd_agree(team_of(m), st));

done:
    return st;
}

static sd_status make_unit(measurement *m)
{
    sd_status       st    = SD_OK;
    const sd_study *study = m->job->study;
    sd_shape        shape = {m->model.n_layers, m->model.d, study->spectrum.count};

    if (study->spectrum.all_values || shape.n_triplets > shape.d) shape.n_triplets = shape.d;
    SD_TRY(sd_unit_create(&shape, &m->unit));
    SD_TRY(sd_copy_string(m->job->run->name, &m->unit->info.run));
    SD_TRY(sd_copy_string(m->job->checkpoint->path, &m->unit->info.path));
    SD_TRY(sd_copy_string(m->family->name, &m->unit->info.family));
    m->unit->info.step       = m->job->checkpoint->step;
    m->unit->info.vocabulary = m->model.vocab;

done:
    return st;
}

/* ---- layers ---- */

/* MPI counts are ints: a layer goes in pieces. */
static void broadcast_bytes(MPI_Comm team, int root, void *bytes, int64_t size)
{
    enum { PIECE = 1 << 30 };

    for (int64_t at = 0; at < size; at += PIECE) {
        const int64_t left = size - at;

        MPI_Bcast((char *)bytes + at, (int)(left < PIECE ? left : PIECE), MPI_BYTE, root, team);
    }
}

/* The owner reads a layer, and all ranks of the team get it. */
static sd_status share_layer(measurement *m, int64_t layer, sd_loaded_block **out)
{
    sd_status      st    = SD_OK;
    const int      owner = (int)(layer % m->size);
    sd_block_types types;

    *out = NULL;
    st   = sd_block_types_of(m->checkpoint, m->family, &m->model, layer, &types);
    if (st == SD_OK && m->rank == owner)
        st =
            sd_block_load(m->checkpoint, m->family, &m->model, layer, m->job->poll, m->digest, out);
    if (st == SD_OK && m->rank != owner) st = sd_loaded_block_create(&m->model, &types, out);
    SD_TRY(sd_agree(team_of(m), st));
    broadcast_bytes(team_of(m), owner, (*out)->bytes, (*out)->size);

done:
    if (st != SD_OK) sd_loaded_block_destroy(out);
    return st;
}

static sd_status make_op(const measurement *m, const sd_block *block, int64_t layer,
                         sd_layer_op **out)
{
    const sd_study         *study   = m->job->study;
    const sd_linear_options options = {study->linear.scaled_input, study->linear.biases};
    sd_status               st      = SD_OK;
    double                 *a2      = NULL;

    if (study->linear.estimator == SD_ESTIMATOR_STEIN)
        return sd_layer_op_create(block, &options, out);
    const sd_fit_draws draws = {study->linear.samples, (uint64_t)study->linear.seed,
                                (uint32_t)layer};
    SD_TRY(sd_sampled_fit_gaussian(block, &options, &draws, m->job->poll, &a2));
    SD_TRY(sd_layer_op_create_fitted(block, &options, a2, out));
    a2 = NULL;

done:
    sd_free(a2);
    return st;
}

static sd_layer_view view_of(const measurement *m, const sd_block *block, sd_layer_op *op,
                             int64_t layer)
{
    return (sd_layer_view){.study      = m->job->study,
                           .poll       = m->job->poll,
                           .team       = team_of(m),
                           .unit       = m->unit,
                           .index      = layer,
                           .block      = block,
                           .op         = op,
                           .n_sample   = m->states != NULL ? m->states->n_sample : 0,
                           .sample     = m->sample,
                           .phenomenon = m->phenomenon};
}

/* ---- first reading ---- */

static bool grid_is_wanted(const sd_study *study)
{
    bool wanted = false;

    for (const sd_stage *const *it = sd_stages; *it != NULL; it++)
        wanted |= (*it)->wants_together != NULL && (*it)->wants_together(study);
    return wanted;
}

/* Work that a layer's owner does by itself, while the other ranks do theirs. */
static sd_status first_stages(measurement *m)
{
    sd_status    st = SD_OK;
    sd_layer_op *op = NULL;

    if (m->layer < 0) return SD_OK;
    SD_TRY(make_op(m, &m->loaded->block, m->layer, &op));
    const sd_layer_view view = view_of(m, &m->loaded->block, op, m->layer);
    for (const sd_stage *const *it = sd_stages; *it != NULL; it++) {
        if ((*it)->first != NULL) SD_TRY((*it)->first(&view));
        SD_TRY(sd_poll_now(m->job->poll));
    }

done:
    sd_layer_op_destroy(&op);
    return st;
}

/* Work that the whole team does on one layer, before its owner's. Collective. */
static sd_status stages_together(measurement *m, const sd_block *block, int64_t layer)
{
    sd_status    st = SD_OK;
    sd_layer_op *op = NULL;

    SD_TRY(sd_agree(team_of(m), make_op(m, block, layer, &op)));
    const sd_layer_view view = view_of(m, block, op, layer);
    for (const sd_stage *const *it = sd_stages; *it != NULL; it++)
        if ((*it)->together != NULL && (*it)->wants_together(m->job->study))
            SD_TRY((*it)->together(&view, m->grid));

done:
    sd_layer_op_destroy(&op);
    return st;
}

/* Takes the states through the layers of a round; each rank keeps the one that it owns. */
static sd_status forward_round(measurement *m, int64_t from, int64_t to)
{
    sd_status        st    = SD_OK;
    sd_loaded_block *block = NULL;

    m->layer = -1;
    for (int64_t layer = from; layer < to; layer++) {
        const int owner = (int)(layer % m->size);

        SD_TRY(share_layer(m, layer, &block));
        SD_TRY(sd_states_advance(m->states, &block->block, layer));
        SD_TRY(sd_states_sample(m->states, owner, m->sample));
        if (m->grid != NULL) SD_TRY(stages_together(m, &block->block, layer));
        if (m->rank == owner) {
            m->layer  = layer;
            m->loaded = block;
            block     = NULL;
        }
        sd_loaded_block_destroy(&block);
    }

done:
    sd_loaded_block_destroy(&block);
    return st;
}

/* A block of which only the sizes are there. */
static sd_block block_shape(const sd_model *model)
{
    return (sd_block){.d       = model->d,
                      .f       = model->f,
                      .n_heads = model->n_heads,
                      .n_kv    = model->n_kv,
                      .d_head  = model->d_head,
                      .wiring  = model->wiring,
                      .act     = model->act,
                      .gate    = {.rows = model->f, .cols = model->d}};
}

static sd_status embed(measurement *m)
{
    sd_status      st = SD_OK;
    sd_states     *s  = m->states;
    const int32_t *id = m->ids->id + s->first_token;

    SD_TRY(sd_agree(team_of(m),
                    sd_embedding_rows(m->checkpoint, m->family, &m->model, s->n_local, id, s->x)));
    SD_TRY(sd_states_record(s, 0));

done:
    return st;
}

static sd_status first_reading(measurement *m)
{
    sd_status      st    = SD_OK;
    const int64_t  n     = m->model.n_layers;
    const sd_block shape = block_shape(&m->model);

    SD_TRY(sd_states_create(team_of(m), m->job->poll, m->ids, &shape, n, &m->states));
    st = sd_alloc(m->states->n_sample * m->model.d, sizeof *m->sample, &m->sample);
    SD_TRY(sd_agree(team_of(m), st));
    if (grid_is_wanted(m->job->study)) SD_TRY(sd_grid_create(team_of(m), &m->grid));
    SD_TRY(embed(m));
    for (int64_t from = 0; from < n; from += m->size) {
        const int64_t to = from + m->size < n ? from + m->size : n;

        SD_TRY(forward_round(m, from, to));
        SD_TRY(sd_agree(team_of(m), first_stages(m)));
        sd_loaded_block_destroy(&m->loaded);
    }
    SD_TRY(complete_digests(m));
    SD_TRY(sd_phenomenon_find(m->states, m->model.norm_eps, &m->phenomenon));

done:
    return st;
}

/* ---- second reading ---- */

enum { TAG_BEFORE = 1 };

/* States before a layer of the tokens behind each direction. */
typedef struct {
    float *rows[SD_MAX_PHASES];
    int    n[SD_MAX_PHASES];
} before_states;

static void release(before_states *b)
{
    for (int k = 0; k < SD_MAX_PHASES; k++) sd_free(b->rows[k]);
    *b = (before_states){0};
}

/* On the leader, who has all states that are kept. */
static sd_status pack_phase(const measurement *m, int64_t layer, int k, before_states *b)
{
    sd_status     st    = SD_OK;
    const int64_t d     = m->model.d;
    int64_t      *token = NULL, n, kept = 0;

    SD_TRY(sd_phenomenon_tokens(m->states, &m->phenomenon->phases->phase[k], &token, &n));
    for (int64_t i = 0; i < n; i++) kept += sd_states_kept(m->states, layer, token[i]) != NULL;
    SD_TRY(sd_alloc(kept * d, sizeof *b->rows[k], &b->rows[k]));
    for (int64_t i = 0; i < n; i++) {
        const float *state = sd_states_kept(m->states, layer, token[i]);

        if (state != NULL) memcpy(b->rows[k] + b->n[k]++ * d, state, (size_t)d * sizeof *state);
    }

done:
    sd_free(token);
    return st;
}

static void send_before(const measurement *m, int to, const before_states *b)
{
    MPI_Send(b->n, SD_MAX_PHASES, MPI_INT, to, TAG_BEFORE, team_of(m));
    for (int k = 0; k < SD_MAX_PHASES; k++)
        MPI_Send(b->rows[k], b->n[k], m->states->row, to, TAG_BEFORE, team_of(m));
}

static void receive_before(const measurement *m, before_states *b)
{
    MPI_Recv(b->n, SD_MAX_PHASES, MPI_INT, 0, TAG_BEFORE, team_of(m), MPI_STATUS_IGNORE);
    for (int k = 0; k < SD_MAX_PHASES; k++)
        MPI_Recv(b->rows[k], b->n[k], m->states->row, 0, TAG_BEFORE, team_of(m), MPI_STATUS_IGNORE);
}

/* Room for the largest number of states that the leader can send. */
static sd_status make_room(const measurement *m, before_states *b)
{
    sd_status st = SD_OK;

    for (int k = 0; k < m->phenomenon->phases->n_phases; k++) {
        const int64_t *tokens = m->phenomenon->phases->phase[k].tokens;
        const int64_t  behind = tokens[0] > 0 ? tokens[0] : tokens[1]; /* its direction */
        const int64_t  kept   = m->ids->n_sequences + SD_KEPT_OTHERS;

        SD_TRY(sd_alloc((behind < kept ? behind : kept) * m->model.d, sizeof *b->rows[k],
                        &b->rows[k]));
    }

done:
    return st;
}

/* Every rank gets what it needs for its layer of the round. Collective. */
static sd_status share_before(const measurement *m, int64_t from, int64_t to, before_states *mine)
{
    sd_status      st     = SD_OK;
    before_states *packed = NULL;

    st = sd_alloc(m->size, sizeof *packed, &packed);
    for (int64_t layer = from; st == SD_OK && m->rank == 0 && layer < to; layer++)
        for (int k = 0; st == SD_OK && k < m->phenomenon->phases->n_phases; k++)
            st = pack_phase(m, layer, k, &packed[layer - from]);
    if (st == SD_OK && m->rank != 0) st = make_room(m, mine);
    SD_TRY(sd_agree(team_of(m), st));
    if (m->rank == 0) {
        for (int owner = 1; owner < to - from; owner++) send_before(m, owner, &packed[owner]);
        *mine     = packed[0];
        packed[0] = (before_states){0};
    } else if (m->rank < to - from)
        receive_before(m, mine);

done:
    for (int r = 0; packed != NULL && r < m->size; r++) release(&packed[r]);
    sd_free(packed);
    return st;
}

static sd_status second_stages(measurement *m, int64_t layer, const before_states *before)
{
    sd_status        st     = SD_OK;
    sd_loaded_block *loaded = NULL;
    sd_layer_op     *op     = NULL;

    SD_TRY(sd_block_load(m->checkpoint, m->family, &m->model, layer, m->job->poll, NULL, &loaded));
    SD_TRY(make_op(m, &loaded->block, layer, &op));
    sd_layer_view view = view_of(m, &loaded->block, op, layer);
    for (int k = 0; k < SD_MAX_PHASES; k++) {
        view.n_before[k] = before->n[k];
        view.before[k]   = before->rows[k];
    }
    for (const sd_stage *const *it = sd_stages; *it != NULL; it++) {
        if ((*it)->second != NULL) SD_TRY((*it)->second(&view));
        SD_TRY(sd_poll_now(m->job->poll));
    }

done:
    sd_layer_op_destroy(&op);
    sd_loaded_block_destroy(&loaded);
    return st;
}

static sd_status second_reading(measurement *m)
{
    sd_status     st = SD_OK;
    const int64_t n  = m->model.n_layers;

    if (m->phenomenon->phases->n_phases == 0) return SD_OK; /* nothing needs a direction */
    for (int64_t from = 0; from < n; from += m->size) {
        before_states before = {0};
        const int64_t to     = from + m->size < n ? from + m->size : n;

        st = share_before(m, from, to, &before);
        if (st == SD_OK && from + m->rank < to) st = second_stages(m, from + m->rank, &before);
        release(&before);
        SD_TRY(sd_agree(team_of(m), st));
    }

done:
    return st;
}

/* ---- the unit ---- */

/* The leader collects from each layer's owner the entries of every variable that goes by layers;
 * what it knows by itself it records afterwards. */
static void collect_layers(measurement *m)
{
    enum { TAG_LAYER = 2 };

    for (int id = 0; id < SD_V_COUNT; id++) {
        const sd_variable *v = &sd_variables[id];

        if (v->derived || v->dim[0] != SD_DIM_LAYER) continue;
        const int64_t bytes = sd_variable_elements((sd_variable_id)id, &m->unit->shape) /
                              m->unit->shape.n_layers * sd_type_size(v->type);
        for (int64_t layer = 0; layer < m->model.n_layers; layer++) {
            const int owner = (int)(layer % m->size);
            char     *at    = (char *)m->unit->value[id] + layer * bytes;

            if (owner == 0) continue;
            if (m->rank == owner) MPI_Send(at, (int)bytes, MPI_BYTE, 0, TAG_LAYER, team_of(m));
            if (m->rank == 0)
                MPI_Recv(at, (int)bytes, MPI_BYTE, owner, TAG_LAYER, team_of(m), MPI_STATUS_IGNORE);
        }
    }
}

static sd_status write_unit(measurement *m, double elapsed_s)
{
    sd_status st = SD_OK;

    SD_TRY(sd_phenomenon_record(m->phenomenon, m->states, m->unit));
    SD_TRY(sd_copy_string(m->fingerprint, &m->unit->info.fingerprint));
    SD_TRY(sd_copy_string(m->key, &m->unit->info.key));
    m->unit->info.elapsed_s = elapsed_s;
    SD_TRY(sd_unit_write(m->unit, m->job->unit_file));

done:
    return st;
}

static void destroy(measurement *m)
{
    sd_loaded_block_destroy(&m->loaded);
    sd_phenomenon_destroy(&m->phenomenon);
    sd_states_destroy(&m->states);
    sd_grid_destroy(&m->grid);
    sd_unit_destroy(&m->unit);
    sd_ids_destroy(&m->ids);
    sd_checkpoint_close(&m->checkpoint);
    sd_free(m->sample);
    sd_free(m->digest);
}

sd_status sd_measure(const sd_measure_job *job, sd_token_cache *cache, sd_measure_outcome *outcome)
{
    sd_status    st = SD_OK;
    measurement  m  = {.job = job, .layer = -1};
    bool         current;
    const double begin = MPI_Wtime();

    MPI_Comm_rank(job->team, &m.rank);
    MPI_Comm_size(job->team, &m.size);
    SD_TRY(open_checkpoint(&m));
    SD_TRY(sd_token_ids(cache, job, m.model.bos, &m.ids));
    SD_TRY(sd_agree(job->team, make_key(&m)));
    SD_TRY(unit_is_current(&m, &current));
    *outcome = current ? SD_KEPT : SD_MEASURED;
    if (current) goto done;
    SD_TRY(sd_agree(job->team, make_unit(&m)));
    SD_TRY(first_reading(&m));
    SD_TRY(second_reading(&m));
    collect_layers(&m);
    SD_TRY(sd_agree(job->team, m.rank == 0 ? write_unit(&m, MPI_Wtime() - begin) : SD_OK));

done:
    destroy(&m);
    return st;
}
