#include "solvers/layer_op.h"

#include <cblas.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "solvers/base/memory.h"

/*
 * A block is four matrices in a row:  A = OUT VALUE diag(gamma1),  F = DOWN HIDDEN diag(gamma2).
 * OUT is d x kv with the columns of a shared head summed; HIDDEN is A2, f x d, never formed when it
 * has a closed form.
 */
typedef enum { VALUE, OUT, HIDDEN, DOWN } factor;

struct sd_layer_op {
    const sd_block *block;
    bool            gated;
    double         *gamma1; /* d                                                           */
    double         *gamma2; /* d; ones where a fitted A2 holds the factors already         */
    double *alpha, *beta;   /* f each: A2 = diag(alpha) gate + diag(beta) up; NULL if fitted */
    double *a2;             /* f x d, or NULL: the closed form                             */
    double *out_sum;        /* d x kv, or NULL: no head is shared                          */
    double *in, *branch;    /* d each: scratch of a single product                         */
    double *kv, *h, *half;  /* kv, f, f: likewise                                         */
};

static int64_t kv_size(const sd_block *block)
{
    return block->n_kv * block->d_head;
}

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
    double *const arrays[] = {(*op)->gamma1, (*op)->gamma2,  (*op)->alpha, (*op)->beta,
                              (*op)->a2,     (*op)->out_sum, (*op)->in,    (*op)->branch,
                              (*op)->kv,     (*op)->h,       (*op)->half};

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
    return (sd_layer_map){0, 1 / s1, 1 / s2, op->block->wiring == SD_WIRING_SEQUENTIAL};
}

sd_layer_map sd_map_attention(void)
{
    return (sd_layer_map){1, 1, 0, false};
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
}

/* y = A' x */
static void attention_transposed(sd_layer_op *op, const double *x, double *y)
{
    const sd_block *b = op->block;

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
}

/* y = F' x */
static void ffn_transposed(sd_layer_op *op, const double *x, double *y)
{
    const sd_block *b = op->block;

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
        transposed ? ffn_transposed(op, x, part) : attention(op, x, part);
        for (int64_t i = 0; i < d; i++) part[i] *= first;
        for (int64_t i = 0; i < d; i++) y[i] += part[i];
    }
    if (second == 0) return;
    for (int64_t i = 0; i < d; i++) part[i] = x[i] + (map.composed ? part[i] : 0);
    transposed ? attention_transposed(op, part, op->in) : ffn(op, part, op->in);
    for (int64_t i = 0; i < d; i++) y[i] += second * op->in[i];
}

sd_operator sd_layer_operator(const sd_bound_map *bound)
{
    return (sd_operator){bound->op->block->d, apply, bound};
}

/* ---- products with many vectors: panels of rows as doubles, through dgemm ---- */

enum {
    VECTORS_AT_ONCE = 256,    /* decoding a panel is then 1/512 of the multiplications */
    PANEL_DOUBLES   = 1 << 20 /* 8 MiB, or one row where that is longer                */
};

typedef struct {
    float  *row, *gate_row; /* the longest row each         */
    double *panel;          /* PANEL_DOUBLES or one row     */
    double *in, *part;      /* VECTORS_AT_ONCE x d each     */
    double *kv, *h;         /* VECTORS_AT_ONCE x kv, x f    */
} block_scratch;

static void block_scratch_destroy(block_scratch *s)
{
    sd_free(s->row);
    sd_free(s->gate_row);
    sd_free(s->panel);
    sd_free(s->in);
    sd_free(s->part);
    sd_free(s->kv);
    sd_free(s->h);
    *s = (block_scratch){0};
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static sd_status block_scratch_create(const sd_block *b, int64_t n, block_scratch *s)
{
    const int64_t longest = larger(larger(b->d, b->f), b->n_heads * b->d_head);
    sd_status     st      = SD_OK;

    *s = (block_scratch){0};
    SD_TRY(sd_alloc(longest, sizeof *s->row, &s->row));
    SD_TRY(sd_alloc(longest, sizeof *s->gate_row, &s->gate_row));
    SD_TRY(sd_alloc(larger(longest, PANEL_DOUBLES), sizeof *s->panel, &s->panel));
    SD_TRY(sd_alloc(n * b->d, sizeof *s->in, &s->in));
    SD_TRY(sd_alloc(n * b->d, sizeof *s->part, &s->part));
    SD_TRY(sd_alloc(n * kv_size(b), sizeof *s->kv, &s->kv));
    SD_TRY(sd_alloc(n * b->f, sizeof *s->h, &s->h));
done:
    if (st != SD_OK) block_scratch_destroy(s);
    return st;
}

static const sd_matrix *stored(const sd_layer_op *op, factor which)
{
    switch (which) {
    case VALUE: return &op->block->value;
    case OUT: return &op->block->out;
    case HIDDEN: return &op->block->up;
    case DOWN: break;
    }
    return &op->block->down;
}

/* The factor as a dense matrix, where it is kept as one. */
static const double *kept_dense(const sd_layer_op *op, factor which)
{
    return which == OUT ? op->out_sum : which == HIDDEN ? op->a2 : NULL;
}

/* Row i of a factor as doubles; both parts of A2 at once, which saves a product. */
static void decode_row(const sd_layer_op *op, factor which, int64_t i, block_scratch *s,
                       double *out)
{
    const sd_matrix *w    = stored(op, which);
    const bool       both = which == HIDDEN && op->gated;

    sd_matrix_rows(w, i, 1, s->row);
    if (both) sd_matrix_rows(&op->block->gate, i, 1, s->gate_row);
    for (int64_t k = 0; k < w->cols; k++)
        out[k] = which == HIDDEN ? op->beta[i] * s->row[k] : s->row[k];
    for (int64_t k = 0; both && k < w->cols; k++) out[k] += op->alpha[i] * s->gate_row[k];
}

/* y = x W': n x cols times the transpose of rows x cols; row k of y is W x_k. */
static void multiply(const sd_layer_op *op, factor which, int64_t n, const double *x,
                     block_scratch *s, double *y)
{
    const double *whole = kept_dense(op, which);
    const int64_t rows  = stored(op, which)->rows;
    const int64_t cols =
        whole != NULL && which == OUT ? kv_size(op->block) : stored(op, which)->cols;
    const int64_t height = larger(1, PANEL_DOUBLES / cols);

    for (int64_t first = 0; first < rows; first += height) {
        const int64_t count = first + height <= rows ? height : rows - first;
        const double *panel = whole != NULL ? whole + first * cols : s->panel;

        for (int64_t i = 0; whole == NULL && i < count; i++)
            decode_row(op, which, first + i, s, s->panel + i * cols);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)count, (int)cols, 1, x,
                    (int)cols, panel, (int)cols, 0, y + first, (int)rows);
    }
}

/* out = (x + part) diag(gamma), row by row. */
static void scale_columns(int64_t n, int64_t d, const double *gamma, const double *x,
                          const double *part, double *out)
{
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < d; i++)
            out[k * d + i] =
                gamma[i] * (part != NULL ? x[k * d + i] + part[k * d + i] : x[k * d + i]);
}

static void apply_some(const sd_layer_op *op, sd_layer_map map, int64_t n, const double *x,
                       block_scratch *s, double *y)
{
    const int64_t d = op->block->d, entries = n * d;

    for (int64_t i = 0; i < entries; i++) y[i] = map.identity * x[i];
    if (map.attention != 0) {
        scale_columns(n, d, op->gamma1, x, NULL, s->in);
        multiply(op, VALUE, n, s->in, s, s->kv);
        multiply(op, OUT, n, s->kv, s, s->part);
        for (int64_t i = 0; i < entries; i++) s->part[i] *= map.attention;
        for (int64_t i = 0; i < entries; i++) y[i] += s->part[i];
    }
    if (map.ffn == 0) return;
    scale_columns(n, d, op->gamma2, x, map.composed && map.attention != 0 ? s->part : NULL, s->in);
    multiply(op, HIDDEN, n, s->in, s, s->h);
    multiply(op, DOWN, n, s->h, s, s->in);
    for (int64_t i = 0; i < entries; i++) y[i] += map.ffn * s->in[i];
}

sd_status sd_layer_op_apply_block(const sd_layer_op *op, sd_layer_map map, int64_t n,
                                  const double *x, double *y)
{
    const int64_t d = op->block->d, most = n < VECTORS_AT_ONCE ? n : VECTORS_AT_ONCE;
    sd_status     st = SD_OK;
    block_scratch s;

    SD_TRY(block_scratch_create(op->block, most, &s));
    for (int64_t k = 0; k < n; k += most)
        apply_some(op, map, n - k < most ? n - k : most, x + k * d, &s, y + k * d);
    block_scratch_destroy(&s);
done:
    return st;
}

sd_status sd_layer_op_columns(const sd_layer_op *op, sd_layer_map map, int64_t n,
                              const int64_t *column, double *out)
{
    const int64_t d = op->block->d, most = n < VECTORS_AT_ONCE ? n : VECTORS_AT_ONCE;
    double       *unit = NULL;
    block_scratch s    = {0};
    sd_status     st   = SD_OK;

    for (int64_t k = 0; column != NULL && k < n; k++)
        SD_REQUIRE(column[k] >= 0 && column[k] < d, SD_ERR_INTERNAL,
                   "no column %" PRId64 " in %" PRId64, column[k], d);
    SD_REQUIRE(column != NULL || n <= d, SD_ERR_INTERNAL, "%" PRId64 " columns of %" PRId64, n, d);
    SD_TRY(sd_alloc(most * d, sizeof *unit, &unit));
    SD_TRY(block_scratch_create(op->block, most, &s));
    for (int64_t k = 0; k < n; k += most) {
        const int64_t count = n - k < most ? n - k : most;

        clear(count * d, unit);
        for (int64_t i = 0; i < count; i++)
            unit[i * d + (column != NULL ? column[k + i] : k + i)] = 1;
        apply_some(op, map, count, unit, &s, out + k * d);
    }
done:
    block_scratch_destroy(&s);
    sd_free(unit);
    return st;
}
