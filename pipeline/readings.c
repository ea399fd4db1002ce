/* The two readings of a checkpoint: layers from their owners to the team, and through the stages.
 */
#include <string.h>

#include "pipeline/measurement.h"
#include "pipeline/stages/stage.h"
#include "solvers/base/agree.h"
#include "solvers/base/memory.h"
#include "solvers/sampled_fit.h"

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
static sd_status share_layer(sd_measurement *m, int64_t layer, sd_loaded_block **out)
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
    SD_TRY(sd_agree(m->job->team, st));
    broadcast_bytes(m->job->team, owner, (*out)->bytes, (*out)->size);

done:
    if (st != SD_OK) sd_loaded_block_destroy(out);
    return st;
}

static sd_status make_op(const sd_measurement *m, const sd_block *block, int64_t layer,
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

static sd_layer_view view_of(const sd_measurement *m, const sd_block *block, sd_layer_op *op,
                             int64_t layer)
{
    return (sd_layer_view){.study      = m->job->study,
                           .poll       = m->job->poll,
                           .team       = m->job->team,
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
static sd_status first_stages(sd_measurement *m)
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
static sd_status stages_together(sd_measurement *m, const sd_block *block, int64_t layer)
{
    sd_status    st = SD_OK;
    sd_layer_op *op = NULL;

    SD_TRY(sd_agree(m->job->team, make_op(m, block, layer, &op)));
    const sd_layer_view view = view_of(m, block, op, layer);
    for (const sd_stage *const *it = sd_stages; *it != NULL; it++)
        if ((*it)->together != NULL && (*it)->wants_together(m->job->study))
            SD_TRY((*it)->together(&view, m->grid));

done:
    sd_layer_op_destroy(&op);
    return st;
}

/* Takes the states through the layers of a round; each rank keeps the one that it owns. */
static sd_status forward_round(sd_measurement *m, int64_t from, int64_t to)
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

static sd_status embed(sd_measurement *m)
{
    sd_status      st = SD_OK;
    sd_states     *s  = m->states;
    const int32_t *id = m->ids->id + s->first_token;

    SD_TRY(sd_agree(m->job->team,
                    sd_embedding_rows(m->checkpoint, m->family, &m->model, s->n_local, id, s->x)));
    SD_TRY(sd_states_record(s, 0));

done:
    return st;
}

sd_status sd_reading_first(sd_measurement *m)
{
    sd_status      st    = SD_OK;
    const int64_t  n     = m->model.n_layers;
    const sd_block shape = block_shape(&m->model);

    SD_TRY(sd_states_create(m->job->team, m->job->poll, m->ids, &shape, n, &m->states));
    st = sd_alloc(m->states->n_sample * m->model.d, sizeof *m->sample, &m->sample);
    SD_TRY(sd_agree(m->job->team, st));
    if (grid_is_wanted(m->job->study)) SD_TRY(sd_grid_create(m->job->team, &m->grid));
    SD_TRY(embed(m));
    for (int64_t from = 0; from < n; from += m->size) {
        const int64_t to = from + m->size < n ? from + m->size : n;

        SD_TRY(forward_round(m, from, to));
        SD_TRY(sd_agree(m->job->team, first_stages(m)));
        sd_loaded_block_destroy(&m->loaded);
    }
    SD_TRY(sd_identity_complete(m));
    SD_TRY(sd_phenomenon_find(m->states, &m->phenomenon));

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
static sd_status pack_phase(const sd_measurement *m, int64_t layer, int k, before_states *b)
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

static void send_before(const sd_measurement *m, int to, const before_states *b)
{
    MPI_Send(b->n, SD_MAX_PHASES, MPI_INT, to, TAG_BEFORE, m->job->team);
    for (int k = 0; k < SD_MAX_PHASES; k++)
        MPI_Send(b->rows[k], b->n[k], m->states->row, to, TAG_BEFORE, m->job->team);
}

static void receive_before(const sd_measurement *m, before_states *b)
{
    MPI_Recv(b->n, SD_MAX_PHASES, MPI_INT, 0, TAG_BEFORE, m->job->team, MPI_STATUS_IGNORE);
    for (int k = 0; k < SD_MAX_PHASES; k++)
        MPI_Recv(b->rows[k], b->n[k], m->states->row, 0, TAG_BEFORE, m->job->team,
                 MPI_STATUS_IGNORE);
}

/* Room for the largest number of states that the leader can send. */
static sd_status make_room(const sd_measurement *m, before_states *b)
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
static sd_status share_before(const sd_measurement *m, int64_t from, int64_t to,
                              before_states *mine)
{
    sd_status      st     = SD_OK;
    before_states *packed = NULL;

    st = sd_alloc(m->size, sizeof *packed, &packed);
    for (int64_t layer = from; st == SD_OK && m->rank == 0 && layer < to; layer++)
        for (int k = 0; st == SD_OK && k < m->phenomenon->phases->n_phases; k++)
            st = pack_phase(m, layer, k, &packed[layer - from]);
    if (st == SD_OK && m->rank != 0) st = make_room(m, mine);
    SD_TRY(sd_agree(m->job->team, st));
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

static sd_status second_stages(sd_measurement *m, int64_t layer, const before_states *before)
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

sd_status sd_reading_second(sd_measurement *m)
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
        SD_TRY(sd_agree(m->job->team, st));
    }

done:
    return st;
}

/* ---- collecting ---- */

/* The leader collects from each layer's owner the entries of every variable that goes by layers;
 * what it knows by itself it records afterwards. */
void sd_reading_collect(sd_measurement *m)
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
            if (m->rank == owner) MPI_Send(at, (int)bytes, MPI_BYTE, 0, TAG_LAYER, m->job->team);
            if (m->rank == 0)
                MPI_Recv(at, (int)bytes, MPI_BYTE, owner, TAG_LAYER, m->job->team,
                         MPI_STATUS_IGNORE);
        }
    }
}
