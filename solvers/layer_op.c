#include "solvers/layer_op.h"

#include <cblas.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "solvers/base/memory.h"
#include "solvers/layer_parts.h"

/* ---- creation ---- */

static sd_status check_shape(const sd_matrix *w, const char *name, int64_t rows, int64_t cols)
{
    sd_status st = SD_OK;

    SD_TRY(sd_matrix_check(w));
    SD_REQUIRE(w->rows == rows && w->cols == cols, SD_ERR_INTERNAL,
               "%s is %" PRId64 " x %" PRId64 ", want %" PRId64 " x %" PRId64, name, w->rows,
               w->cols, rows, cols);
done:
    return st;
}

static sd_status check_block(const sd_block *b)
{
    sd_status st = SD_OK;

    SD_REQUIRE(b->d >= 1 && b->f >= 1 && b->n_kv >= 1 && b->d_head >= 1 && b->n_heads >= b->n_kv &&
                   b->n_heads % b->n_kv == 0,
               SD_ERR_INTERNAL,
               "no block has d %" PRId64 ", f %" PRId64 ", %" PRId64 " heads, %" PRId64
               " key/value heads of %" PRId64,
               b->d, b->f, b->n_heads, b->n_kv, b->d_head);
    SD_REQUIRE(b->d <= INT_MAX && b->f <= INT_MAX && b->n_heads <= INT_MAX / b->d_head,
               SD_ERR_INTERNAL, "BLAS counts to %d only", INT_MAX);
    SD_REQUIRE(b->norm1.gamma != NULL && b->norm2.gamma != NULL, SD_ERR_INTERNAL,
               "a norm without gamma");
    SD_TRY(check_shape(&b->value, "value", kv_size(b), b->d));
    SD_TRY(check_shape(&b->out, "out", b->d, b->n_heads * b->d_head));
    if (b->gate.rows > 0) SD_TRY(check_shape(&b->gate, "gate", b->f, b->d));
    SD_TRY(check_shape(&b->up, "up", b->f, b->d));
    SD_TRY(check_shape(&b->down, "down", b->d, b->f));
done:
    return st;
}

/* Column c of a key/value head's sum is the sum over the heads that repeat it. */
static sd_status sum_shared_heads(sd_layer_op *op)
{
    const sd_block *b      = op->block;
    const int64_t   repeat = b->n_heads / b->n_kv, kv = kv_size(b);
    sd_status       st  = SD_OK;
    float          *row = NULL;

    if (repeat == 1) return SD_OK;
    SD_TRY(sd_alloc(b->out.cols, sizeof *row, &row));
    SD_TRY(sd_alloc(b->d * kv, sizeof *op->out_sum, &op->out_sum));
    for (int64_t i = 0; i < b->d; i++) {
        sd_matrix_rows(&b->out, i, 1, row);
        for (int64_t head = 0; head < b->n_heads; head++) {
            double *sum = op->out_sum + i * kv + head / repeat * b->d_head;

            for (int64_t c = 0; c < b->d_head; c++) sum[c] += row[head * b->d_head + c];
        }
    }
done:
    sd_free(row);
    return st;
}

static sd_matrix rows_of(const sd_matrix *w, bool keep_bias)
{
    sd_matrix rows = *w;

    if (!keep_bias) rows.bias = NULL;
    return rows;
}

static sd_status fit_closed_form(sd_layer_op *op, const sd_linear_options *options)
{
    const sd_block *b     = op->block;
    const float    *scale = options->scaled_input ? b->norm2.gamma : NULL;
    const sd_matrix up    = rows_of(&b->up, options->keep_biases);
    sd_status       st    = SD_OK;

    SD_TRY(sd_alloc(b->f, sizeof *op->alpha, &op->alpha));
    SD_TRY(sd_alloc(b->f, sizeof *op->beta, &op->beta));
    if (op->gated) {
        const sd_matrix gate = rows_of(&b->gate, options->keep_biases);

        SD_TRY(sd_stein_gated(b->act, &gate, &up, scale, op->alpha, op->beta));
    } else {
        SD_TRY(sd_stein_plain(b->act, &up, scale, op->beta));
    }
done:
    return st;
}

static sd_status make_scratch(sd_layer_op *op)
{
    const sd_block *b  = op->block;
    sd_status       st = SD_OK;

    SD_TRY(sd_alloc(b->d, sizeof *op->gamma1, &op->gamma1));
    SD_TRY(sd_alloc(b->d, sizeof *op->gamma2, &op->gamma2));
    SD_TRY(sd_alloc(b->d, sizeof *op->in, &op->in));
    SD_TRY(sd_alloc(b->d, sizeof *op->branch, &op->branch));
    SD_TRY(sd_alloc(kv_size(b), sizeof *op->kv, &op->kv));
    SD_TRY(sd_alloc(b->f, sizeof *op->h, &op->h));
    SD_TRY(sd_alloc(b->f, sizeof *op->half, &op->half));
done:
    return st;
}

/*
 * What the post-norm of a branch divides by for x ~ N(0, I): the root of the mean over the entries
 * of E (M x)_i^2 = sum_k M_ik^2, and eps.
 */
static sd_status divisor_on_gaussian(const sd_layer_op *op, sd_layer_map map, double eps,
                                     double *out)
{
    enum { COLUMNS = 256 }; /* as many as layer_columns.c takes at once */
    const int64_t d    = op->block->d;
    sd_status     st   = SD_OK;
    double       *some = NULL, sum = 0;
    int64_t       column[COLUMNS];

    SD_TRY(sd_alloc((d < COLUMNS ? d : COLUMNS) * d, sizeof *some, &some));
    for (int64_t first = 0; first < d; first += COLUMNS) {
        const int64_t n = d - first < COLUMNS ? d - first : COLUMNS;

        for (int64_t k = 0; k < n; k++) column[k] = first + k;
        SD_TRY(sd_layer_op_columns(op, map, n, column, some));
        for (int64_t i = 0; i < n * d; i++) sum += some[i] * some[i];
    }
    *out = sqrt(sum / (double)d + eps);
done:
    sd_free(some);
    return st;
}

/* The post-norm of a branch whose map is complete but for it. */
static sd_status set_post(sd_layer_op *op, const sd_norm *norm, sd_layer_map map, double *unit,
                          double **post)
{
    const int64_t d      = op->block->d;
    sd_status     st     = SD_OK;
    double       *factor = NULL;

    *unit = 1;
    if (norm->gamma == NULL) return SD_OK;
    SD_TRY(divisor_on_gaussian(op, map, norm->eps, unit));
    SD_TRY(sd_alloc(d, sizeof *factor, &factor));
    for (int64_t i = 0; i < d; i++) factor[i] = *unit > 0 ? norm->gamma[i] / *unit : 0;
    *post = factor;
done:
    return st;
}

/* a2 is given: freed on failure, NULL for the closed form. */
static sd_status create(const sd_block *block, const sd_linear_options *options, double *a2,
                        sd_layer_op **out)
{
    sd_status    st = SD_OK;
    sd_layer_op *op = NULL;

    SD_TRY(check_block(block));
    SD_TRY(sd_alloc(1, sizeof *op, &op));
    op->block = block;
    op->gated = block->gate.rows > 0;
    op->a2    = a2;
    a2        = NULL;
    SD_TRY(make_scratch(op));
    for (int64_t i = 0; i < block->d; i++) {
        op->gamma1[i] = block->norm1.gamma[i];
        op->gamma2[i] = op->a2 != NULL && options->scaled_input ? 1 : block->norm2.gamma[i];
    }
    SD_TRY(sum_shared_heads(op));
    if (op->a2 == NULL) SD_TRY(fit_closed_form(op, options));
    SD_TRY(set_post(op, &block->post1, sd_map_attention_part(), &op->unit1, &op->post1));
    SD_TRY(set_post(op, &block->post2, sd_map_ffn(), &op->unit2, &op->post2));
    *out = op;
    op   = NULL;
done:
    sd_free(a2);
    sd_layer_op_destroy(&op);
    return st;
}

sd_status sd_layer_op_create(const sd_block *block, const sd_linear_options *options,
                             sd_layer_op **out)
{
    return create(block, options, NULL, out);
}

sd_status sd_layer_op_create_fitted(const sd_block *block, const sd_linear_options *options,
                                    double *a2, sd_layer_op **out)
{
    sd_status st = SD_OK;

    SD_REQUIRE(a2 != NULL, SD_ERR_INTERNAL, "no fitted matrix given");
    SD_TRY(create(block, options, a2, out));
done:
    return st;
}

void sd_layer_op_destroy(sd_layer_op **op)
{
    if (*op == NULL) return;
    double *const arrays[] = {(*op)->gamma1, (*op)->gamma2, (*op)->post1, (*op)->post2,
                              (*op)->alpha,  (*op)->beta,   (*op)->a2,    (*op)->out_sum,
                              (*op)->in,     (*op)->branch, (*op)->kv,    (*op)->h,
                              (*op)->half};

    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++) sd_free(arrays[k]);
    sd_free(*op);
    *op = NULL;
}

/* ---- maps ---- */

sd_layer_map sd_map_layer(const sd_layer_op *op)
{
    return (sd_layer_map){1, 1, 1, op->block->wiring == SD_WIRING_SEQUENTIAL};
}

sd_layer_map sd_map_paper(const sd_layer_op *op)
{
    return (sd_layer_map){0, 1, 1, op->block->wiring == SD_WIRING_SEQUENTIAL};
}

sd_layer_map sd_map_sum(void)
{
    return (sd_layer_map){0, 1, 1, false};
}

sd_layer_map sd_map_scaled(const sd_layer_op *op, double s1, double s2)
{
    return (sd_layer_map){0, op->unit1 / s1, op->unit2 / s2,
                          op->block->wiring == SD_WIRING_SEQUENTIAL};
}

sd_layer_map sd_map_attention(void)
{
    return (sd_layer_map){1, 1, 0, false};
}

sd_layer_map sd_map_attention_part(void)
{
    return (sd_layer_map){0, 1, 0, false};
}

sd_layer_map sd_map_ffn(void)
{
    return (sd_layer_map){0, 0, 1, false};
}

/* ---- products with one vector: the weights as they are stored ---- */

/* y = W x, or y += W' x, for a dense W. */
static void dense(bool transposed, int64_t rows, int64_t cols, const double *w, const double *x,
                  double *y)
{
    if (transposed)
        cblas_dgemv(CblasRowMajor, CblasTrans, (int)rows, (int)cols, 1, w, (int)cols, x, 1, 1, y,
                    1);
    else
        cblas_dgemv(CblasRowMajor, CblasNoTrans, (int)rows, (int)cols, 1, w, (int)cols, x, 1, 0, y,
                    1);
}

static void multiply_entries(int64_t n, const double *scale, const double *x, double *y)
{
    for (int64_t i = 0; i < n; i++) y[i] = scale[i] * x[i];
}

/* The post-norm's factors times a branch's output, in place. */
static void multiply_post(int64_t d, const double *post, double *y)
{
    if (post != NULL) multiply_entries(d, post, y, y);
}

/* The same for what goes into a transposed branch: x itself, or op->in. */
static const double *behind_post(sd_layer_op *op, const double *post, const double *x)
{
    if (post == NULL) return x;
    multiply_entries(op->block->d, post, x, op->in);
    return op->in;
}

static void clear(int64_t n, double *x)
{
    memset(x, 0, (size_t)n * sizeof *x);
}

/* y = A x; y may be op->in, x may not. */
static void attention(sd_layer_op *op, const double *x, double *y)
{
    const sd_block *b = op->block;

    multiply_entries(b->d, op->gamma1, x, op->in);
    sd_matrix_mul(&b->value, op->in, op->kv);
    if (op->out_sum != NULL)
        dense(false, b->d, kv_size(b), op->out_sum, op->kv, y);
    else
        sd_matrix_mul(&b->out, op->kv, y);
    multiply_post(b->d, op->post1, y);
}

/* y = A' x */
static void attention_transposed(sd_layer_op *op, const double *x, double *y)
{
    const sd_block *b = op->block;

    x = behind_post(op, op->post1, x);
    clear(kv_size(b), op->kv);
    if (op->out_sum != NULL)
        dense(true, b->d, kv_size(b), op->out_sum, x, op->kv);
    else
        sd_matrix_mul_transposed(&b->out, x, op->kv);
    clear(b->d, y);
    sd_matrix_mul_transposed(&b->value, op->kv, y);
    multiply_entries(b->d, op->gamma1, y, y);
}

/* y = F x; y may be op->in, x may not. */
static void ffn(sd_layer_op *op, const double *x, double *y)
{
    const sd_block *b = op->block;

    multiply_entries(b->d, op->gamma2, x, op->in);
    if (op->a2 != NULL) {
        dense(false, b->f, b->d, op->a2, op->in, op->h);
    } else {
        sd_matrix_mul(&b->up, op->in, op->h);
        multiply_entries(b->f, op->beta, op->h, op->h);
        if (op->gated) {
            sd_matrix_mul(&b->gate, op->in, op->half);
            for (int64_t i = 0; i < b->f; i++) op->h[i] += op->alpha[i] * op->half[i];
        }
    }
    sd_matrix_mul(&b->down, op->h, y);
    multiply_post(b->d, op->post2, y);
}

/* y = F' x */
static void ffn_transposed(sd_layer_op *op, const double *x, double *y)
{
    const sd_block *b = op->block;

    x = behind_post(op, op->post2, x);
    clear(b->f, op->h);
    sd_matrix_mul_transposed(&b->down, x, op->h);
    clear(b->d, y);
    if (op->a2 != NULL) {
        dense(true, b->f, b->d, op->a2, op->h, y);
    } else {
        if (op->gated) {
            multiply_entries(b->f, op->alpha, op->h, op->half);
            sd_matrix_mul_transposed(&b->gate, op->half, y);
        }
        multiply_entries(b->f, op->beta, op->h, op->half);
        sd_matrix_mul_transposed(&b->up, op->half, y);
    }
    multiply_entries(b->d, op->gamma2, y, y);
}

/*
 * M = i I + a A + f F + [composed] a f F A. The second branch acts on x plus the first one's part
 * where the map is composed, and on x alone where it is not: the weights are read once. Transposing
 * turns the order around.
 */
static void apply(const void *context, bool transposed, const double *x, double *y)
{
    const sd_bound_map *bound  = context;
    sd_layer_op        *op     = bound->op;
    const sd_layer_map  map    = bound->map;
    const int64_t       d      = op->block->d;
    double             *part   = op->branch;
    const double        first  = transposed ? map.ffn : map.attention;
    const double        second = transposed ? map.attention : map.ffn;

    for (int64_t i = 0; i < d; i++) y[i] = map.identity * x[i];
    clear(d, part);
    if (first != 0) {
        if (transposed)
            ffn_transposed(op, x, part);
        else
            attention(op, x, part);
        for (int64_t i = 0; i < d; i++) part[i] *= first;
        for (int64_t i = 0; i < d; i++) y[i] += part[i];
    }
    if (second == 0) return;
    for (int64_t i = 0; i < d; i++) part[i] = x[i] + (map.composed ? part[i] : 0);
    if (transposed)
        attention_transposed(op, part, op->in);
    else
        ffn(op, part, op->in);
    for (int64_t i = 0; i < d; i++) y[i] += second * op->in[i];
}

sd_operator sd_layer_operator(const sd_bound_map *bound)
{
    return (sd_operator){bound->op->block->d, apply, bound};
}
