/* The maps of a layer: against plain loops, against each other, and what they may read. */
#include <string.h>

#include "solvers/base/memory.h"
#include "solvers/layer_op.h"
#include "tests/support/check.h"
#include "tests/support/made_block.h"

/* Sizes that divide nothing; heads times their size is not d. */
static const made_shape shapes[] = {
    {37, 53, 6, 2, 5, SD_WIRING_SEQUENTIAL, SD_ACT_SILU, SD_F32, true, true},
    {37, 53, 6, 2, 5, SD_WIRING_PARALLEL, SD_ACT_GELU, SD_BF16, true, false},
    {37, 53, 3, 3, 7, SD_WIRING_SEQUENTIAL, SD_ACT_RELU, SD_BF16, false, true},
    {37, 53, 4, 1, 9, SD_WIRING_PARALLEL, SD_ACT_GELU_TANH, SD_F32, false, false},
    {1, 1, 1, 1, 1, SD_WIRING_SEQUENTIAL, SD_ACT_SILU, SD_F32, true, false},
};

enum { SHAPES = sizeof shapes / sizeof *shapes, D = 37, F = 53, MAPS = 7 };

static double entry(const sd_matrix *w, int64_t i, int64_t k)
{
    const char *const first = w->weight;
    float             value;

    sd_to_float(w->type, 1, first + (i * w->stride + k) * sd_dtype_size(w->type), &value);
    return value;
}

/* ---- plain loops: dense A and F from the definitions ---- */

static void naive_attention(const sd_block *b, double a[D][D])
{
    for (int64_t i = 0; i < b->d; i++)
        for (int64_t j = 0; j < b->d; j++) {
            a[i][j] = 0;
            for (int64_t q = 0; q < b->n_heads * b->d_head; q++) {
                const int64_t head = q / b->d_head, kv_head = head * b->n_kv / b->n_heads;
                const int64_t source = kv_head * b->d_head + q % b->d_head;

                a[i][j] += entry(&b->out, i, q) * entry(&b->value, source, j) * b->norm1.gamma[j];
            }
        }
}

static void naive_a2(const sd_block *b, const sd_linear_options *o, double a2[F][D])
{
    const float *scale = o->scaled_input ? b->norm2.gamma : NULL;
    sd_matrix    gate = b->gate, up = b->up;
    double       alpha[F], beta[F];

    if (!o->keep_biases) gate.bias = up.bias = NULL;
    if (gate.rows > 0)
        CHECK(sd_stein_gated(b->act, &gate, &up, scale, alpha, beta) == SD_OK);
    else
        CHECK(sd_stein_plain(b->act, &up, scale, beta) == SD_OK);
    for (int64_t i = 0; i < b->f; i++)
        for (int64_t j = 0; j < b->d; j++) {
            a2[i][j] = beta[i] * entry(&up, i, j);
            if (gate.rows > 0) a2[i][j] += alpha[i] * entry(&gate, i, j);
        }
}

static void naive_ffn(const sd_block *b, double a2[F][D], double f[D][D])
{
    for (int64_t i = 0; i < b->d; i++)
        for (int64_t j = 0; j < b->d; j++) {
            f[i][j] = 0;
            for (int64_t h = 0; h < b->f; h++)
                f[i][j] += entry(&b->down, i, h) * a2[h][j] * b->norm2.gamma[j];
        }
}

/* i I + a A + f F + [composed] a f F A, and the formula of every named map, written out. */
static void naive_map(const sd_block *b, int which, double s1, double s2, double a[D][D],
                      double f[D][D], double m[D][D])
{
    const bool sequential = b->wiring == SD_WIRING_SEQUENTIAL;

    for (int64_t i = 0; i < b->d; i++)
        for (int64_t j = 0; j < b->d; j++) {
            const double one = i == j;
            double       fa  = 0;

            for (int64_t k = 0; k < b->d; k++) fa += f[i][k] * a[k][j];
            const double product     = sequential ? fa : 0;
            const double value[MAPS] = {one + a[i][j] + f[i][j] + product,
                                        a[i][j] + f[i][j] + product,
                                        a[i][j] + f[i][j],
                                        a[i][j] / s1 + f[i][j] / s2 + product / (s1 * s2),
                                        one + a[i][j],
                                        f[i][j],
                                        -0.5 * one + 2 * a[i][j]};
            m[i][j]                  = value[which];
        }
}

static sd_layer_map named_map(const sd_layer_op *op, int which, double s1, double s2)
{
    const sd_layer_map map[MAPS] = {
        sd_map_layer(op),   sd_map_paper(op), sd_map_sum(),       sd_map_scaled(op, s1, s2),
        sd_map_attention(), sd_map_ffn(),     {-0.5, 2, 0, true},
    };
    return map[which];
}

/* ---- the tests ---- */

/*
 * Entries of A, F and FA are sums of at most 53 * 37 * 30 products of size <= 2 each; with entries
 * of order 10 an error of 1e-12 leaves 500 roundings of room.
 */
static const double tolerance = 1e-12;

static void compare_all_products(const sd_layer_op *op, sd_layer_map map, double want[D][D],
                                 int64_t d)
{
    sd_bound_map      bound    = {(sd_layer_op *)(uintptr_t)op, map};
    const sd_operator m        = sd_layer_operator(&bound);
    const int64_t     picked[] = {d - 1, 0, d / 2};
    double            column[D * D], some[3 * D], block[D * D], x[D * D] = {0}, y[D];
    double            a[D * D], f[D * D], formed[D * D];

    CHECK(m.d == d);
    CHECK(sd_layer_op_columns(op, map, d, NULL, column) == SD_OK);
    CHECK(sd_layer_op_columns(op, map, 3, picked, some) == SD_OK);
    CHECK(sd_layer_op_columns(op, sd_map_attention_part(), d, NULL, a) == SD_OK);
    CHECK(sd_layer_op_columns(op, sd_map_ffn(), d, NULL, f) == SD_OK);
    sd_layer_map_form(map, d, a, f, formed);
    for (int64_t k = 0; k < d; k++) x[k * d + k] = 3; /* the vectors 3 e_k */
    CHECK(sd_layer_op_apply_block(op, map, d, x, block) == SD_OK);
    for (int64_t k = 0; k < d; k++) {
        double unit[D] = {0};

        unit[k] = 1;
        m.apply(m.context, false, unit, y);
        for (int64_t i = 0; i < d; i++) {
            CLOSE(y[i], want[i][k], tolerance);
            CLOSE(column[k * d + i], want[i][k], tolerance);
            CLOSE(formed[k * d + i], want[i][k], tolerance);
            CLOSE(block[k * d + i], 3 * want[i][k], 3 * tolerance);
        }
        m.apply(m.context, true, unit, y);
        for (int64_t i = 0; i < d; i++) CLOSE(y[i], want[k][i], tolerance);
    }
    for (int c = 0; c < 3; c++)
        for (int64_t i = 0; i < d; i++)
            CLOSE(some[c * d + i], column[picked[c] * d + i], tolerance);
}

static void every_map_equals_plain_loops(void)
{
    static double a[D][D], f[D][D], a2[F][D], want[D][D];

    for (int s = 0; s < SHAPES; s++)
        for (int o = 0; o < 4; o++) {
            const sd_linear_options options = {o & 1, o & 2};
            sd_layer_op            *op      = NULL;
            made_block              made;

            make_block(&shapes[s], 11, &made);
            naive_attention(&made.block, a);
            naive_a2(&made.block, &options, a2);
            naive_ffn(&made.block, a2, f);
            CHECK(sd_layer_op_create(&made.block, &options, &op) == SD_OK);
            for (int which = 0; op != NULL && which < MAPS; which++) {
                naive_map(&made.block, which, 1.5, -0.25, a, f, want);
                compare_all_products(op, named_map(op, which, 1.5, -0.25), want, made.block.d);
            }
            sd_layer_op_destroy(&op);
            CHECK(op == NULL);
            free_block(&made);
        }
}

/* A fitted A2 multiplies diag(gamma2), unless the fit's rows held the factors already. */
static void a_fitted_matrix_takes_the_place_of_the_closed_form(void)
{
    static double a[D][D], f[D][D], want[D][D], a2[F][D], seen[F][D];
    made_block    made;

    make_block(&shapes[0], 5, &made);
    naive_attention(&made.block, a);
    for (int scaled = 0; scaled < 2; scaled++) {
        const sd_linear_options options = {scaled, false};
        uint64_t                state   = 99;
        double                 *given   = NULL;
        sd_layer_op            *op      = NULL;

        CHECK(sd_alloc(F * D, sizeof *given, &given) == SD_OK);
        for (int i = 0; i < F; i++)
            for (int j = 0; j < D; j++) {
                given[i * D + j] = a2[i][j] = made_number(&state);
                seen[i][j] = scaled ? a2[i][j] / made.block.norm2.gamma[j] : a2[i][j];
            }
        naive_ffn(&made.block, seen, f);
        naive_map(&made.block, 0, 1, 1, a, f, want);
        CHECK(sd_layer_op_create_fitted(&made.block, &options, given, &op) == SD_OK);
        compare_all_products(op, sd_map_layer(op), want, D);
        sd_layer_op_destroy(&op);
    }
    free_block(&made);
}

/* <y, M x> = <M' y, x> to rounding, on vectors that are no axes. */
static void the_transposed_product_is_the_adjoint(void)
{
    for (int s = 0; s < SHAPES; s++) {
        const sd_linear_options options = {false, false};
        const int64_t           d       = shapes[s].d;
        sd_layer_op            *op      = NULL;
        made_block              made;
        uint64_t                state = 3;
        double                  x[D], y[D], mx[D], my[D];

        make_block(&shapes[s], 7, &made);
        CHECK(sd_layer_op_create(&made.block, &options, &op) == SD_OK);
        for (int which = 0; which < MAPS; which++) {
            const sd_bound_map bound = {op, named_map(op, which, 3, 2)};
            const sd_operator  m     = sd_layer_operator(&bound);
            double             left = 0, right = 0;

            for (int64_t i = 0; i < d; i++) x[i] = made_number(&state);
            for (int64_t i = 0; i < d; i++) y[i] = made_number(&state);
            m.apply(m.context, false, x, mx);
            m.apply(m.context, true, y, my);
            for (int64_t i = 0; i < d; i++) left += y[i] * mx[i];
            for (int64_t i = 0; i < d; i++) right += my[i] * x[i];
            CLOSE(left, right, D * tolerance);
        }
        sd_layer_op_destroy(&op);
        free_block(&made);
    }
}

/* More vectors than are taken at once: the seam between two portions must not show. */
static void many_vectors_equal_single_ones(void)
{
    enum { N = 600 };
    const sd_linear_options options = {false, false};
    static double           x[N * D], y[N * D];
    sd_layer_op            *op = NULL;
    made_block              made;
    uint64_t                state = 17;
    double                  one[D];

    make_block(&shapes[0], 23, &made);
    CHECK(sd_layer_op_create(&made.block, &options, &op) == SD_OK);
    for (int i = 0; i < N * D; i++) x[i] = made_number(&state);
    CHECK(sd_layer_op_apply_block(op, sd_map_layer(op), N, x, y) == SD_OK);
    const sd_bound_map bound = {op, sd_map_layer(op)};
    for (int k = 0; k < N; k++) {
        sd_layer_operator(&bound).apply(&bound, false, x + k * D, one);
        for (int i = 0; i < D; i++) CLOSE(y[k * D + i], one[i], D * tolerance);
    }
    CHECK(sd_layer_op_apply_block(op, sd_map_layer(op), 0, x, y) == SD_OK);
    sd_layer_op_destroy(&op);
    free_block(&made);
}

/* Softmax of one logit is 1, so attention of a lone token is linear: heads spelled out one by one.
 */
static void attention_of_one_token_is_the_map_a(void)
{
    const sd_linear_options options = {false, false};
    sd_layer_op            *op      = NULL;
    made_block              made;
    uint64_t                state = 31;
    double                  x[D], y[D], concat[30];

    make_block(&shapes[0], 29, &made);
    const sd_block *b = &made.block;
    CHECK(sd_layer_op_create(b, &options, &op) == SD_OK);
    for (int i = 0; i < D; i++) x[i] = made_number(&state);
    for (int64_t head = 0; head < b->n_heads; head++)
        for (int64_t c = 0; c < b->d_head; c++) {
            const int64_t row  = head / (b->n_heads / b->n_kv) * b->d_head + c;
            const double  soft = exp(0.7) / exp(0.7); /* one logit, whatever it is */

            concat[head * b->d_head + c] = 0;
            for (int64_t j = 0; j < b->d; j++)
                concat[head * b->d_head + c] +=
                    soft * entry(&b->value, row, j) * b->norm1.gamma[j] * x[j];
        }
    const sd_bound_map bound = {op, {0, 1, 0, false}};
    sd_layer_operator(&bound).apply(&bound, false, x, y);
    for (int64_t i = 0; i < b->d; i++) {
        double want = 0;

        for (int64_t q = 0; q < b->n_heads * b->d_head; q++)
            want += entry(&b->out, i, q) * concat[q];
        CLOSE(y[i], want, tolerance);
    }
    sd_layer_op_destroy(&op);
    free_block(&made);
}

/* The FFN's weights are taken away: a map without F must not notice, nor one without A. */
static void a_map_reads_only_what_it_needs(void)
{
    const sd_linear_options options = {false, false};
    sd_layer_op            *op      = NULL;
    made_block              made;
    double                  x[D] = {1}, y[D], columns[D * D];

    make_block(&shapes[2], 13, &made);
    CHECK(sd_layer_op_create(&made.block, &options, &op) == SD_OK);
    const sd_block whole = made.block;

    made.block.up.weight = made.block.down.weight = NULL; /* reading them would crash */
    const sd_bound_map attention                  = {op, sd_map_attention()};
    sd_layer_operator(&attention).apply(&attention, false, x, y);
    sd_layer_operator(&attention).apply(&attention, true, x, y);
    CHECK(sd_layer_op_columns(op, sd_map_attention(), D, NULL, columns) == SD_OK);

    made.block              = whole;
    made.block.value.weight = made.block.out.weight = NULL;
    const sd_bound_map ffn                          = {op, sd_map_ffn()};
    sd_layer_operator(&ffn).apply(&ffn, false, x, y);
    sd_layer_operator(&ffn).apply(&ffn, true, x, y);
    CHECK(sd_layer_op_columns(op, sd_map_ffn(), D, NULL, columns) == SD_OK);
    sd_layer_op_destroy(&op);
    free_block(&made);
}

static void bad_shapes_are_refused_with_a_reason(void)
{
    const sd_linear_options options = {false, false};
    const int64_t           beyond  = D;
    sd_layer_op            *op      = NULL;
    double                 *a2      = NULL, columns[D];
    made_block              made;

    make_block(&shapes[0], 1, &made);
    sd_clear();
    made.block.down.rows--;
    CHECK(sd_layer_op_create(&made.block, &options, &op) == SD_ERR_INTERNAL && op == NULL);
    CHECK(strstr(sd_message(), "down is 36 x 53, want 37 x 53") != NULL);
    sd_clear();
    CHECK(sd_alloc(F * D, sizeof *a2, &a2) == SD_OK); /* given: freed although it fails */
    CHECK(sd_layer_op_create_fitted(&made.block, &options, a2, &op) == SD_ERR_INTERNAL);
    made.block.down.rows++;
    sd_clear();
    made.block.n_kv = 4;
    CHECK(sd_layer_op_create(&made.block, &options, &op) == SD_ERR_INTERNAL);
    CHECK(strstr(sd_message(), "6 heads, 4 key/value heads") != NULL);
    made.block.n_kv = 2;
    sd_clear();
    CHECK(sd_layer_op_create_fitted(&made.block, &options, NULL, &op) == SD_ERR_INTERNAL);
    sd_clear();
    CHECK(sd_layer_op_create(&made.block, &options, &op) == SD_OK);
    CHECK(sd_layer_op_columns(op, sd_map_sum(), 1, &beyond, columns) == SD_ERR_INTERNAL);
    sd_clear();
    ((float *)(uintptr_t)made.block.gate.weight)[2] = NAN;
    sd_layer_op_destroy(&op);
    CHECK(sd_layer_op_create(&made.block, &options, &op) == SD_ERR_INPUT);
    sd_clear();
    free_block(&made);
}

/* The k-th allocation fails, for every k, until all goes well: the leak checker watches. */
static void running_out_of_memory_leaves_nothing_behind(void)
{
    const sd_linear_options options = {false, false};
    sd_layer_op            *op      = NULL;
    made_block              made;
    static double           x[D * D], y[D * D];
    sd_status               st = SD_ERR_RESOURCE;
    int                     k  = 0;

    make_block(&shapes[0], 1, &made);
    while (st != SD_OK) {
        sd_clear();
        sd_alloc_fail_at(++k);
        st = sd_layer_op_create(&made.block, &options, &op);
        CHECK(st == SD_OK || (st == SD_ERR_RESOURCE && op == NULL));
    }
    CHECK(k > 10);
    for (k = 0, st = SD_ERR_RESOURCE; st != SD_OK;) {
        sd_alloc_fail_at(++k);
        st = sd_layer_op_columns(op, sd_map_sum(), D, NULL, y);
        CHECK(st == SD_OK || st == SD_ERR_RESOURCE);
    }
    CHECK(k > 8);
    for (k = 0, st = SD_ERR_RESOURCE; st != SD_OK;) {
        sd_alloc_fail_at(++k);
        st = sd_layer_op_apply_block(op, sd_map_sum(), D, x, y);
        CHECK(st == SD_OK || st == SD_ERR_RESOURCE);
    }
    CHECK(k > 7);
    sd_layer_op_destroy(&op);
    for (k = 0, st = SD_ERR_RESOURCE; st != SD_OK;) {
        double *a2 = NULL;

        sd_alloc_fail_at(0);
        CHECK(sd_alloc(F * D, sizeof *a2, &a2) == SD_OK);
        sd_alloc_fail_at(++k);
        st = sd_layer_op_create_fitted(&made.block, &options, a2, &op);
        CHECK(st == SD_OK || (st == SD_ERR_RESOURCE && op == NULL));
    }
    sd_alloc_fail_at(0);
    sd_clear();
    sd_layer_op_destroy(&op);
    sd_layer_op_destroy(&op); /* NULL is fine */
    free_block(&made);
}

int main(void)
{
    every_map_equals_plain_loops();
    a_fitted_matrix_takes_the_place_of_the_closed_form();
    the_transposed_product_is_the_adjoint();
    many_vectors_equal_single_ones();
    attention_of_one_token_is_the_map_a();
    a_map_reads_only_what_it_needs();
    bad_shapes_are_refused_with_a_reason();
    running_out_of_memory_leaves_nothing_behind();
    return REPORT();
}
