/*
 * The decay: eigenpairs nearest to each phase's direction for the maps `paper`, `sum` and `scaled`,
 * Rayleigh quotients, and what the paper's own R does to real states.
 */
#include <math.h>

#include "pipeline/stages/stage.h"
#include "solvers/angle.h"
#include "solvers/base/memory.h"
#include "solvers/spectral/spectral.h"

typedef struct {
    sd_variable_id eigenvalue, angle, residual, rayleigh, method;
} decay_variables;

static const decay_variables PAPER  = {SD_V_DECAY_PAPER_EIGENVALUE, SD_V_DECAY_PAPER_ANGLE,
                                       SD_V_DECAY_PAPER_EIGEN_RESIDUAL, SD_V_DECAY_PAPER_RAYLEIGH,
                                       SD_V_DECAY_PAPER_METHOD};
static const decay_variables SUM    = {SD_V_DECAY_SUM_EIGENVALUE, SD_V_DECAY_SUM_ANGLE,
                                       SD_V_DECAY_SUM_EIGEN_RESIDUAL, SD_V_DECAY_SUM_RAYLEIGH,
                                       SD_V_DECAY_SUM_METHOD};
static const decay_variables SCALED = {SD_V_DECAY_SCALED_EIGENVALUE, SD_V_DECAY_SCALED_ANGLE,
                                       SD_V_DECAY_SCALED_EIGEN_RESIDUAL, SD_V_DECAY_SCALED_RAYLEIGH,
                                       SD_V_DECAY_SCALED_METHOD};

static const double *direction_of(const sd_layer_view *view, int k)
{
    return view->phenomenon->direction + k * view->block->d;
}

static bool has_direction(const sd_layer_view *view, int k)
{
    return k < view->phenomenon->phases->n_phases && isfinite(direction_of(view, k)[0]);
}

/* At a phase's own explosion and decay layers the full decomposition always decides. */
static bool wants_full(const sd_layer_view *view, int k)
{
    const sd_phase *phase = &view->phenomenon->phases->phase[k];

    if (view->study->eigenpairs == SD_EIGEN_ONLY_FULL) return true;
    if (view->study->eigenpairs == SD_EIGEN_ONLY_ITERATIVE) return false;
    return phase->explosion[view->index] || phase->decay[view->index];
}

static void store(const sd_layer_view *view, const decay_variables *to, int k,
                  const sd_eigenpair *pair)
{
    const int64_t at = view->index * SD_MAX_PHASES + k;

    sd_unit_f64(view->unit, to->eigenvalue)[2 * at]     = pair->re;
    sd_unit_f64(view->unit, to->eigenvalue)[2 * at + 1] = pair->im;
    sd_unit_f64(view->unit, to->angle)[at]              = pair->angle_deg;
    sd_unit_f64(view->unit, to->residual)[at]           = pair->residual;
    sd_unit_i32(view->unit, to->method)[at]             = (int32_t)pair->method;
}

/* Eigenpairs of one formed map, nearest to the directions of the phases in [from, to). */
static sd_status eigenpairs(const sd_layer_view *view, const double *m, int from, int to,
                            const decay_variables *out)
{
    sd_status     st   = SD_OK;
    const int64_t d    = view->block->d;
    double       *hard = NULL; /* directions that the full decomposition decides */
    int           which[SD_MAX_PHASES], n = 0;
    sd_eigenpair  pair[SD_MAX_PHASES];

    SD_TRY(sd_alloc(SD_MAX_PHASES * d, sizeof *hard, &hard));
    for (int k = from; k < to; k++) {
        const double *e        = direction_of(view, k);
        bool          accepted = false;

        if (!has_direction(view, k)) continue;
        sd_unit_f64(view->unit, out->rayleigh)[view->index * SD_MAX_PHASES + k] =
            sd_rayleigh(d, m, e);
        if (!wants_full(view, k))
            SD_TRY(sd_eigen_iterative(d, m, e, view->poll, &accepted, &pair[0]));
        if (accepted) store(view, out, k, &pair[0]);
        if (accepted || view->study->eigenpairs == SD_EIGEN_ONLY_ITERATIVE) continue;
        for (int64_t i = 0; i < d; i++) hard[n * d + i] = e[i];
        which[n++] = k;
    }
    SD_TRY(sd_poll_now(view->poll));
    if (n > 0) SD_TRY(sd_eigen_full(d, m, n, hard, pair));
    for (int i = 0; i < n; i++) store(view, out, which[i], &pair[i]);
    SD_TRY(sd_poll_now(view->poll));

done:
    sd_free(hard);
    return st;
}

/* ---- what R does to real states ---- */

/* Angle between R x and -x, from 0 (straight against x) to 180. */
static double opposition(int64_t d, const double *x, double *rx)
{
    double against = 0, along = 0;

    if (!sd_normalise(d, rx)) return NAN;
    for (int64_t i = 0; i < d; i++) {
        against += (rx[i] + x[i]) * (rx[i] + x[i]);
        along += (rx[i] - x[i]) * (rx[i] - x[i]);
    }
    return 2 * atan2(sqrt(against), sqrt(along)) * 57.29577951308232;
}

static double left_over(int64_t d, const double *x, const double *rx)
{
    double sum = 0; /* x has length 1 */

    for (int64_t i = 0; i < d; i++) sum += (x[i] + rx[i]) * (x[i] + rx[i]);
    return sqrt(sum);
}

static sd_status on_real_states(const sd_layer_view *view, int k)
{
    sd_status     st = SD_OK;
    const int64_t d = view->block->d, n = view->n_before[k], at = view->index * SD_MAX_PHASES + k;
    double       *x = NULL, *rx = NULL, sum_left = 0, sum_angle = 0;

    if (n == 0) return SD_OK;
    SD_TRY(sd_alloc(n * d, sizeof *x, &x));
    SD_TRY(sd_alloc(n * d, sizeof *rx, &rx));
    for (int64_t i = 0; i < n * d; i++) x[i] = view->before[k][i];
    for (int64_t t = 0; t < n; t++) sd_normalise(d, x + t * d);
    SD_TRY(sd_layer_op_apply_block(view->op, sd_map_paper(view->op), n, x, rx));
    for (int64_t t = 0; t < n; t++) {
        sum_left += left_over(d, x + t * d, rx + t * d);
        sum_angle += opposition(d, x + t * d, rx + t * d);
    }
    sd_unit_f64(view->unit, SD_V_DECAY_LEFT_OVER)[at]  = sum_left / (double)n;
    sd_unit_f64(view->unit, SD_V_DECAY_OPPOSITION)[at] = sum_angle / (double)n;

done:
    sd_free(x);
    sd_free(rx);
    return st;
}

/* All maps of the layer are made of A and F, which are formed once; m: d x d, scratch. */
static sd_status all_maps(const sd_layer_view *view, const double *a, const double *f, double *m)
{
    sd_status     st = SD_OK;
    const int64_t d  = view->block->d;
    const int     n  = view->phenomenon->phases->n_phases;

    sd_layer_map_form(sd_map_paper(view->op), d, a, f, m);
    SD_TRY(eigenpairs(view, m, 0, n, &PAPER));
    sd_layer_map_form(sd_map_sum(), d, a, f, m);
    SD_TRY(eigenpairs(view, m, 0, n, &SUM));
    for (int k = 0; k < n; k++) {
        const double *s = view->phenomenon->scale + 2 * (view->index * SD_MAX_PHASES + k);

        if (!has_direction(view, k)) continue;
        sd_layer_map_form(sd_map_scaled(view->op, s[0], s[1]), d, a, f, m);
        SD_TRY(eigenpairs(view, m, k, k + 1, &SCALED));
        SD_TRY(on_real_states(view, k));
    }

done:
    return st;
}

static sd_status second(const sd_layer_view *view)
{
    sd_status     st = SD_OK;
    const int64_t d  = view->block->d;
    double       *a = NULL, *f = NULL, *m = NULL;

    if (view->phenomenon->phases->n_phases == 0) return SD_OK;
    SD_TRY(sd_alloc(d * d, sizeof *a, &a));
    SD_TRY(sd_alloc(d * d, sizeof *f, &f));
    SD_TRY(sd_alloc(d * d, sizeof *m, &m));
    SD_TRY(sd_layer_op_columns(view->op, sd_map_attention_part(), d, NULL, a));
    SD_TRY(sd_layer_op_columns(view->op, sd_map_ffn(), d, NULL, f));
    SD_TRY(all_maps(view, a, f, m));

done:
    sd_free(a);
    sd_free(f);
    sd_free(m);
    return st;
}

const sd_stage sd_stage_decay = {.name = "decay", .second = second};
