/*
 * The paper's linear prediction: leading singular triplets of L, I + A and F, the spectral gap of
 * F, and the angle of u(L) to the empirical directions, beside that of a trivial guess.
 */
#include <math.h>

#include "pipeline/stages/stage.h"
#include "solvers/angle.h"
#include "solvers/base/agree.h"
#include "solvers/base/memory.h"
#include "solvers/spectral/spectral.h"

enum {
    SMALL = 128, /* up to this size LAPACK is as fast as a Krylov method and gives every value */
    /* keys of the start vectors: by layer and matrix, so that results depend on nothing else */
    KEYS = 4,
};

/* One of the three matrices, and where its results go. */
typedef struct {
    sd_map_bit     bit;
    sd_variable_id sigma, residual, u, v;
} matrix;

static const matrix matrices[] = {
    {SD_MAP_LAYER, SD_V_LAYER_SIGMA, SD_V_LAYER_RESIDUAL, SD_V_LAYER_U, SD_V_LAYER_V},
    {SD_MAP_ATTENTION, SD_V_ATTENTION_SIGMA, SD_V_ATTENTION_RESIDUAL, SD_V_ATTENTION_U,
     SD_V_ATTENTION_V},
    {SD_MAP_FFN, SD_V_FFN_SIGMA, SD_V_FFN_RESIDUAL, SD_V_FFN_U, SD_V_FFN_V},
};

enum { N_MATRICES = sizeof matrices / sizeof *matrices };

static sd_layer_map map_of(const sd_layer_view *view, sd_map_bit bit)
{
    switch (bit) {
    case SD_MAP_LAYER: return sd_map_layer(view->op);
    case SD_MAP_ATTENTION: return sd_map_attention();
    case SD_MAP_FFN: break;
    }
    return sd_map_ffn();
}

/* Whether the values come from the team's grid. */
static bool wants_together(const sd_study *study)
{
    return study->spectrum.solver == SD_SOLVER_SCALAPACK;
}

/* Which solver gives the triplets on the layer's owner. */
static bool by_lapack(const sd_study *study, int64_t d)
{
    switch (study->spectrum.solver) {
    case SD_SOLVER_LAPACK: return true;
    case SD_SOLVER_SLEPC: return false;
    case SD_SOLVER_SCALAPACK:
    case SD_SOLVER_AUTO: break;
    }
    return d <= SMALL || (study->spectrum.all_values && study->spectrum.solver == SD_SOLVER_AUTO);
}

static sd_status solve(const sd_layer_view *view, sd_layer_map map, uint64_t key, sd_triplets *out)
{
    sd_status          st     = SD_OK;
    const int64_t      d      = view->block->d;
    const sd_bound_map bound  = {view->op, map};
    const sd_operator  op     = sd_layer_operator(&bound);
    double            *formed = NULL;

    if (!by_lapack(view->study, d)) return sd_svd_leading(&op, key, view->poll, out);
    SD_TRY(sd_alloc(d * d, sizeof *formed, &formed));
    SD_TRY(sd_layer_op_columns(view->op, map, d, NULL, formed));
    SD_TRY(sd_svd_full(&op, formed, view->poll, out));

done:
    sd_free(formed);
    return st;
}

/* The gap wants two values even where the study asks for one, or for no F at all. */
static sd_status solve_gap(const sd_layer_view *view, uint64_t key)
{
    sd_status     st       = SD_OK;
    const int64_t d        = view->block->d;
    double        sigma[2] = {0, 0}, residual[2];
    double       *vectors  = NULL;

    SD_TRY(sd_alloc(2 * d, sizeof *vectors, &vectors));
    sd_triplets two = {d < 2 ? 1 : 2, sigma, residual, vectors, vectors + d};
    SD_TRY(solve(view, sd_map_ffn(), key, &two));
    sd_unit_f64(view->unit, SD_V_ROLE_WEIGHT_GAP)[view->index] = sigma[0] / sigma[1];

done:
    sd_free(vectors);
    return st;
}

/*
 * The leading pair alone, where the grid gives the values: their places are not touched, and the
 * order of the two does not matter. Of two triplets, for the gap of F.
 */
static sd_status solve_pair(const sd_layer_view *view, const matrix *mat, uint64_t key,
                            sd_triplets *out)
{
    sd_status     st = SD_OK;
    const int64_t k  = view->unit->shape.n_triplets;

    out->count = view->block->d < 2 ? 1 : 2;
    SD_TRY(solve(view, map_of(view, mat->bit), key, out));
    sd_unit_f64(view->unit, mat->residual)[view->index * k] = out->residual[0];

done:
    return st;
}

static sd_status first(const sd_layer_view *view)
{
    sd_status     st = SD_OK;
    const int64_t k = view->unit->shape.n_triplets, d = view->block->d, l = view->index;
    const bool    on_grid  = wants_together(view->study);
    bool          have_gap = false;
    double        sigma[2] = {0, 0}, residual[2];

    for (int m = 0; m < N_MATRICES; m++) {
        const matrix  *mat = &matrices[m];
        const uint64_t key = (uint64_t)(l * KEYS + m);
        sd_triplets    out = {k, on_grid ? sigma : sd_unit_f64(view->unit, mat->sigma) + l * k,
                           on_grid ? residual : sd_unit_f64(view->unit, mat->residual) + l * k,
                              sd_unit_f64(view->unit, mat->u) + l * d,
                              sd_unit_f64(view->unit, mat->v) + l * d};

        if ((view->study->spectrum.matrices & (unsigned)mat->bit) == 0) continue;
        SD_TRY(on_grid ? solve_pair(view, mat, key, &out)
                       : solve(view, map_of(view, mat->bit), key, &out));
        SD_TRY(sd_poll_now(view->poll));
        if (mat->bit != SD_MAP_FFN || out.count < 2) continue;
        sd_unit_f64(view->unit, SD_V_ROLE_WEIGHT_GAP)[l] = out.sigma[0] / out.sigma[1];
        have_gap                                         = true;
    }
    if (!have_gap) SD_TRY(solve_gap(view, (uint64_t)(l * KEYS + N_MATRICES)));
    if (!on_grid)
        sd_unit_i32(view->unit, SD_V_LINEAR_SOLVER)[l] = by_lapack(view->study, d) ? 2 : 1;

done:
    return st;
}

/* ---- all values on the team's grid ---- */

typedef struct {
    const sd_layer_op *op;
    sd_layer_map       map;
} columns_of;

static sd_status fill_columns(const void *context, int64_t n, const int64_t *column, double *out)
{
    const columns_of *of = context;

    return sd_layer_op_columns(of->op, of->map, n, column, out);
}

/* The values are exact to a small multiple of eps sigma_1 and come without vectors: their residual
 * is NaN, but for the leading one, whose pair the owner has found by itself. */
static sd_status together(const sd_layer_view *view, sd_grid *grid)
{
    sd_status     st = SD_OK;
    const int64_t k = view->unit->shape.n_triplets, d = view->block->d, l = view->index;
    double       *sigma = NULL;

    SD_TRY(sd_agree(view->team, sd_alloc(d, sizeof *sigma, &sigma)));
    for (int m = 0; m < N_MATRICES; m++) {
        const columns_of of  = {view->op, map_of(view, matrices[m].bit)};
        double          *res = sd_unit_f64(view->unit, matrices[m].residual) + l * k;

        if ((view->study->spectrum.matrices & (unsigned)matrices[m].bit) == 0) continue;
        SD_TRY(sd_grid_singular_values(grid, d, fill_columns, &of, sigma));
        for (int64_t i = 0; i < k; i++) {
            sd_unit_f64(view->unit, matrices[m].sigma)[l * k + i] = sigma[i];
            if (i > 0) res[i] = NAN;
        }
    }
    sd_unit_i32(view->unit, SD_V_LINEAR_SOLVER)[l] = 3;

done:
    sd_free(sigma);
    return st;
}

/* ---- angles ---- */

/* The channel that the FFN's last matrix reaches farthest, behind the post-norm's gamma if any. */
static sd_status largest_row(const sd_block *block, int64_t *out)
{
    sd_status        st      = SD_OK;
    const sd_matrix *w       = &block->down;
    float           *row     = NULL;
    double           largest = -1;

    SD_TRY(sd_alloc(w->cols, sizeof *row, &row));
    for (int64_t i = 0; i < w->rows; i++) {
        double sum = 0;

        sd_matrix_rows(w, i, 1, row);
        for (int64_t j = 0; j < w->cols; j++) sum += (double)row[j] * row[j];
        if (block->post2.gamma != NULL)
            sum *= (double)block->post2.gamma[i] * block->post2.gamma[i];
        if (sum > largest) {
            largest = sum;
            *out    = i;
        }
    }

done:
    sd_free(row);
    return st;
}

static sd_status second(const sd_layer_view *view)
{
    sd_status     st = SD_OK;
    const int64_t d = view->block->d, l = view->index;
    const double *u       = sd_unit_f64(view->unit, SD_V_LAYER_U) + l * d;
    int64_t       channel = 0;

    SD_TRY(largest_row(view->block, &channel));
    for (int k = 0; k < view->phenomenon->phases->n_phases; k++) {
        const double *e  = view->phenomenon->direction + k * d;
        const int64_t at = l * SD_MAX_PHASES + k;

        sd_unit_f64(view->unit, SD_V_LINEAR_ANGLE)[at]      = sd_acute_angle(d, u, e);
        sd_unit_f64(view->unit, SD_V_LINEAR_ANGLE_AXIS)[at] = sd_axis_angle(d, e, channel);
        sd_unit_f64(view->unit, SD_V_LINEAR_ANGLE_DEFLATED)[at] =
            sd_deflated_angle(d, u, e, sd_top_channel(d, e));
    }

done:
    return st;
}

const sd_stage sd_stage_prediction = {.name           = "prediction",
                                      .first          = first,
                                      .together       = together,
                                      .wants_together = wants_together,
                                      .second         = second};
