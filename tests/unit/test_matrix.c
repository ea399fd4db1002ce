/* Products of stored weights with vectors: plain loops, all formats, any alignment, same bits. */
#include <stdlib.h>
#include <string.h>

#include "solvers/matrix.h"
#include "tests/support/check.h"
#include "tests/support/made_block.h"

enum { MAX = 70, STRIDE = MAX + 5 };

typedef struct {
    unsigned char bytes[4 * MAX * STRIDE + 64];
    double        value[MAX * STRIDE];
} made_weights;

/* Numbers that every format holds exactly: k / 64 with |k| <= 64. Between the rows stands NaN. */
static void make_weights(sd_dtype type, size_t offset, int64_t rows, int64_t cols, made_weights *w)
{
    uint64_t state = 77;

    for (int64_t i = 0; i < rows * STRIDE; i++) {
        const float    v = i % STRIDE < cols ? (float)floor(64 * made_number(&state)) / 64 : NAN;
        uint32_t       bits;
        const int      power = v != 0 && !isnan(v) ? ilogb(v) : 0;
        unsigned char *at    = w->bytes + offset + (size_t)(i * sd_dtype_size(type));

        w->value[i] = v;
        memcpy(&bits, &v, sizeof bits);
        if (type == SD_F32) {
            memcpy(at, &v, 4);
            continue;
        }
        uint16_t half = (uint16_t)(bits >> 16);
        if (type == SD_F16) { /* sign, exponent, fraction by hand */
            half = isnan(v) ? 0x7e00
                   : v == 0 ? 0
                            : (uint16_t)(ldexp(fabs(v), 10 - power) - 1024 + (power + 15) * 1024);
            if (v < 0) half |= 0x8000;
        }
        memcpy(at, &half, 2);
    }
}

/* Sums of 70 products below 2 in size: 70 roundings of at most 140 eps each. */
static const double tolerance = 70 * 140 * 2.3e-16;

static void products_match(sd_dtype type, size_t offset, int64_t rows, int64_t cols)
{
    static made_weights made;
    uint64_t            state = 5;
    double              x[MAX], y[MAX + 1], want[MAX];
    float               decoded[MAX * MAX];

    make_weights(type, offset, rows, cols, &made);
    const sd_matrix w = {type, rows, cols, STRIDE, made.bytes + offset, NULL};

    for (int i = 0; i < MAX; i++) x[i] = 1.9 * made_number(&state);
    y[rows] = 123;
    sd_matrix_mul(&w, x, y);
    for (int64_t i = 0; i < rows; i++) {
        want[i] = 0;
        for (int64_t k = 0; k < cols; k++) want[i] += made.value[i * STRIDE + k] * x[k];
        CLOSE(y[i], want[i], tolerance);
    }
    CHECK(y[rows] == 123);

    for (int64_t k = 0; k <= cols; k++) y[k] = 0.25;
    sd_matrix_mul_transposed(&w, x, y);
    for (int64_t k = 0; k < cols; k++) {
        want[k] = 0.25; /* it adds */
        for (int64_t i = 0; i < rows; i++) want[k] += made.value[i * STRIDE + k] * x[i];
        CLOSE(y[k], want[k], tolerance);
    }
    CHECK(y[cols] == 0.25);

    if (rows < 2) return;
    sd_matrix_rows(&w, 1, rows - 1, decoded);
    for (int64_t i = 0; i < rows - 1; i++)
        for (int64_t k = 0; k < cols; k++)
            CHECK((double)decoded[i * cols + k] == made.value[(i + 1) * STRIDE + k]);
}

static void products_equal_plain_loops(void)
{
    const int64_t rows[] = {0, 1, 3, 4, 5, 8, 67}, cols[] = {1, 2, 15, 16, 17, 33, 64, 70};

    for (int type = SD_F32; type <= SD_F16; type++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            for (size_t k = 0; k < sizeof cols / sizeof *cols; k++)
                products_match((sd_dtype)type, 0, rows[i], cols[k]);
}

/* Where the weights and vectors lie must not change a bit, nor which rows share a call. */
static void bits_do_not_depend_on_alignment_or_split(void)
{
    enum { ROWS = 13, COLS = 61 };
    static made_weights made, moved;
    double              x[COLS + 1], shifted[COLS + 2], y[MAX + 1], again[MAX + 2], part[MAX];
    uint64_t            state = 9;

    for (int k = 0; k < COLS; k++) shifted[k + 1] = x[k] = made_number(&state);
    for (int type = SD_F32; type <= SD_F16; type++)
        for (size_t offset = 0; offset < 64; offset += 3) {
            make_weights((sd_dtype)type, 0, ROWS, COLS, &made);
            make_weights((sd_dtype)type, offset, ROWS, COLS, &moved);
            const sd_matrix w = {(sd_dtype)type, ROWS, COLS, STRIDE, made.bytes, NULL};
            sd_matrix       m = w;

            m.weight = moved.bytes + offset;
            sd_matrix_mul(&w, x, y);
            sd_matrix_mul(&m, shifted + 1, again + 1);
            CHECK(memcmp(y, again + 1, ROWS * sizeof *y) == 0);
            for (int k = 0; k < COLS; k++) y[k] = again[k + 1] = part[k] = 0;
            sd_matrix_mul_transposed(&w, x, y);
            sd_matrix_mul_transposed(&m, shifted + 1, again + 1);
            CHECK(memcmp(y, again + 1, COLS * sizeof *y) == 0);
            for (int64_t i = 0; i < ROWS; i++) { /* row by row */
                sd_matrix one = w;

                one.rows   = 1;
                one.weight = made.bytes + i * STRIDE * sd_dtype_size(w.type);
                sd_matrix_mul_transposed(&one, x + i, part);
            }
            CHECK(memcmp(y, part, COLS * sizeof *y) == 0);
        }
}

/* What is not finite stays visible. */
static void damaged_weights_show_in_the_result(void)
{
    const float     row[] = {1, INFINITY};
    const sd_matrix w     = {SD_F32, 1, 2, 2, row, NULL};
    const double    x[]   = {1, 1};
    double          y;

    sd_matrix_mul(&w, x, &y);
    CHECK(isinf(y));
}

static void no_matrix_is_refused_with_a_reason(void)
{
    const float     row[] = {1, 2}, bias[] = {0.5f};
    const sd_matrix good = {SD_F32, 1, 2, 2, row, bias};
    sd_matrix       bad;

    CHECK(sd_matrix_check(&good) == SD_OK);
    CHECK(sd_matrix_bias(&good, 0) == 0.5);
    bad = good, bad.bias = NULL;
    CHECK(sd_matrix_check(&bad) == SD_OK && sd_matrix_bias(&bad, 0) == 0);
    bad = good, bad.rows = 0, bad.weight = NULL;
    CHECK(sd_matrix_check(&bad) == SD_OK);

    sd_clear();
    bad = good, bad.type = SD_F64;
    CHECK(sd_matrix_check(&bad) == SD_ERR_INTERNAL);
    sd_clear();
    bad = good, bad.stride = 1;
    CHECK(sd_matrix_check(&bad) == SD_ERR_INTERNAL);
    CHECK(strstr(sd_message(), "1 x 2 with stride 1") != NULL);
    sd_clear();
    bad = good, bad.cols = 0;
    CHECK(sd_matrix_check(&bad) == SD_ERR_INTERNAL);
    sd_clear();
    bad = good, bad.rows = -1;
    CHECK(sd_matrix_check(&bad) == SD_ERR_INTERNAL);
    sd_clear();
    bad = good, bad.weight = NULL;
    CHECK(sd_matrix_check(&bad) == SD_ERR_INTERNAL);
    sd_clear();
}

int main(void)
{
    products_equal_plain_loops();
    bits_do_not_depend_on_alignment_or_split();
    damaged_weights_show_in_the_result();
    no_matrix_is_refused_with_a_reason();
    return REPORT();
}
