#include "solvers/layer_op.h"

#include <cblas.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "solvers/base/memory.h"
#include "solvers/layer_parts.h"

/* Products with many vectors: panels of rows as doubles, through dgemm. */

typedef enum { VALUE, OUT, HIDDEN, DOWN } factor; /* layer_parts.h */

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

/* The post-norm's factors times n outputs of a branch, in place. */
static void multiply_posts(int64_t n, int64_t d, const double *post, double *y)
{
    for (int64_t i = 0; post != NULL && i < n * d; i++) y[i] *= post[i % d];
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
        multiply_posts(n, d, op->post1, s->part);
        for (int64_t i = 0; i < entries; i++) s->part[i] *= map.attention;
        for (int64_t i = 0; i < entries; i++) y[i] += s->part[i];
    }
    if (map.ffn == 0) return;
    scale_columns(n, d, op->gamma2, x, map.composed && map.attention != 0 ? s->part : NULL, s->in);
    multiply(op, HIDDEN, n, s->in, s, s->h);
    multiply(op, DOWN, n, s->h, s, s->in);
    multiply_posts(n, d, op->post2, s->in);
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

        memset(unit, 0, (size_t)(count * d) * sizeof *unit);
        for (int64_t i = 0; i < count; i++)
            unit[i * d + (column != NULL ? column[k + i] : k + i)] = 1;
        apply_some(op, map, count, unit, &s, out + k * d);
    }
done:
    block_scratch_destroy(&s);
    sd_free(unit);
    return st;
}

void sd_layer_map_form(sd_layer_map map, int64_t d, const double *a, const double *f, double *out)
{
    for (int64_t i = 0; i < d * d; i++) out[i] = map.attention * a[i] + map.ffn * f[i];
    for (int64_t i = 0; i < d; i++) out[i * d + i] += map.identity;
    if (!map.composed) return;
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, (int)d, (int)d, (int)d,
                map.attention * map.ffn, f, (int)d, a, (int)d, 1, out, (int)d);
}
