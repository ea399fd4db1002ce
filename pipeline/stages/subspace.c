/*
 * The paper's explosion subspace: what the exact FFN, behind its norm, answers to every right
 * singular vector v of F and to -v, at the explosion layers. A layer that makes the norm jump
 * answers to one of them far more strongly than to all others.
 */
#include <math.h>

#include "pipeline/stages/stage.h"
#include "solvers/base/memory.h"
#include "solvers/forward/forward.h"
#include "solvers/spectral/spectral.h"

enum { CHUNK = 512 }; /* vectors that go through the FFN at once; must not depend on the team */

static bool is_explosion(const sd_layer_view *view)
{
    const sd_phases *phases = view->phenomenon->phases;

    for (int k = 0; k < phases->n_phases; k++)
        if (phases->phase[k].explosion[view->index]) return true;
    return false;
}

/* All triplets of F; their values and residuals go to the unit. right: d x d. */
static sd_status decompose(const sd_layer_view *view, double *right)
{
    sd_status          st     = SD_OK;
    const int64_t      d      = view->block->d;
    const sd_bound_map bound  = {view->op, sd_map_ffn()};
    const sd_operator  op     = sd_layer_operator(&bound);
    double            *formed = NULL, *leading = NULL;

    SD_TRY(sd_alloc(d * d, sizeof *formed, &formed));
    SD_TRY(sd_alloc(2 * d, sizeof *leading, &leading));
    sd_triplets all = {d, sd_unit_f64(view->unit, SD_V_SUBSPACE_SIGMA) + view->index * d,
                       sd_unit_f64(view->unit, SD_V_SUBSPACE_RESIDUAL) + view->index * d, leading,
                       leading + d};
    SD_TRY(sd_layer_op_columns(view->op, bound.map, d, NULL, formed));
    SD_TRY(sd_svd_right(&op, formed, view->poll, &all, right));

done:
    sd_free(formed);
    sd_free(leading);
    return st;
}

static double length(int64_t d, const float *y)
{
    double sum = 0;

    for (int64_t i = 0; i < d; i++) sum += (double)y[i] * y[i];
    return sqrt(sum);
}

/* Responses to n vectors times `sign`; `out` has a place for either sign of each. */
static sd_status respond(const sd_layer_view *view, sd_forward *forward, int64_t n,
                         const double *vectors, int sign, float *x, double *out)
{
    sd_status     st = SD_OK;
    const int64_t d  = view->block->d;

    for (int64_t i = 0; i < n * d; i++) x[i] = (float)(sign * vectors[i]);
    SD_TRY(sd_forward_ffn(forward, view->block, n, x, x));
    for (int64_t i = 0; i < n; i++) out[2 * i + (sign < 0)] = length(d, x + i * d);

done:
    return st;
}

static sd_status second(const sd_layer_view *view)
{
    sd_status     st = SD_OK;
    const int64_t d = view->block->d, chunk = d < CHUNK ? d : CHUNK;
    double       *right   = NULL;
    sd_forward   *forward = NULL;
    float        *x       = NULL;

    if (!view->study->subspace || !is_explosion(view)) return SD_OK;
    double *response = sd_unit_f64(view->unit, SD_V_SUBSPACE_RESPONSE) + view->index * d * 2;
    SD_TRY(sd_alloc(d * d, sizeof *right, &right));
    SD_TRY(decompose(view, right));
    SD_TRY(sd_forward_create(view->block, chunk, 1, &forward));
    SD_TRY(sd_alloc(chunk * d, sizeof *x, &x));
    for (int64_t at = 0; at < d; at += chunk) {
        const int64_t n = d - at < chunk ? d - at : chunk;

        for (int sign = 1; sign >= -1; sign -= 2)
            SD_TRY(respond(view, forward, n, right + at * d, sign, x, response + 2 * at));
        SD_TRY(sd_poll_now(view->poll));
    }

done:
    sd_forward_destroy(&forward);
    sd_free(right);
    sd_free(x);
    return st;
}

const sd_stage sd_stage_subspace = {.name = "subspace", .second = second};
