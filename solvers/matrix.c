#include "solvers/matrix.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

/*
 * One binary for every machine: the compiler makes the kernels for several instruction sets and the
 * loader picks one. Every variant does the same operations in the same order, and nothing is fused
 * (-ffp-contract=off), so that all of them give the same bits.
 */
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define KERNEL __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define KERNEL
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

/*
 * Loops over LANES neighbours have a constant length and no dependence: they become vector code at
 * any optimisation level. LANES sums also hide the latency of the additions.
 */
enum { LANES = 16, ROWS_AT_ONCE = 4 };

static const unsigned char *row_at(const sd_matrix *w, int64_t row)
{
    return (const unsigned char *)w->weight + row * w->stride * sd_dtype_size(w->type);
}

sd_status sd_matrix_check(const sd_matrix *w)
{
    sd_status st = SD_OK;

    SD_REQUIRE(w->type == SD_F32 || w->type == SD_BF16 || w->type == SD_F16, SD_ERR_INTERNAL,
               "weights of type %d cannot be multiplied", (int)w->type);
    SD_REQUIRE(w->rows >= 0 && w->cols >= 1 && w->stride >= w->cols, SD_ERR_INTERNAL,
               "rows %" PRId64 " x %" PRId64 " with stride %" PRId64 " are no matrix", w->rows,
               w->cols, w->stride);
    SD_REQUIRE(w->rows == 0 || w->weight != NULL, SD_ERR_INTERNAL, "a matrix without weights");
done:
    return st;
}

/* ---- kernels: `type` is a constant at each place of use, so that only one branch is left ---- */

/* out[k] = w[k] for the first n <= LANES elements, 0 for the others; any alignment. */
INLINE void load(sd_dtype type, int64_t n, const unsigned char *w, double *out)
{
    float    single[LANES] = {0};
    uint16_t half[LANES]   = {0};

    if (type == SD_F32) {
        memcpy(single, w, (size_t)n * sizeof *single);
    } else {
        memcpy(half, w, (size_t)n * sizeof *half);
        for (int k = 0; k < LANES; k++)
            single[k] = type == SD_BF16 ? sd_bf16_value(half[k]) : sd_f16_value(half[k]);
    }
    for (int k = 0; k < LANES; k++) out[k] = single[k];
}

INLINE double sum_lanes(double *lane)
{
    for (int width = LANES / 2; width >= 1; width /= 2)
        for (int k = 0; k < width; k++) lane[k] += lane[k + width];
    return lane[0];
}

INLINE double dot(sd_dtype type, int64_t n, const unsigned char *w, const double *x)
{
    const int64_t size = type == SD_F32 ? 4 : 2, whole = n - n % LANES;
    double        sum[LANES] = {0}, value[LANES];

    for (int64_t j = 0; j < whole; j += LANES) {
        load(type, LANES, w + j * size, value);
        for (int k = 0; k < LANES; k++) sum[k] += value[k] * x[j + k];
    }
    load(type, n - whole, w + whole * size, value);
    for (int64_t k = 0; k < n - whole; k++) sum[k] += value[k] * x[whole + k];
    return sum_lanes(sum);
}

/* y += sum_r scale[r] w_r over `rows` <= ROWS_AT_ONCE rows, one after the other for every entry. */
INLINE void add_rows(sd_dtype type, int rows, int64_t n, const unsigned char *w, int64_t row_bytes,
                     const double *scale, double *y)
{
    const int64_t size = type == SD_F32 ? 4 : 2, whole = n - n % LANES;
    double        sum[LANES], value[LANES];

    for (int64_t j = 0; j < whole; j += LANES) {
        memcpy(sum, y + j, sizeof sum);
        for (int r = 0; r < rows; r++) {
            load(type, LANES, w + r * row_bytes + j * size, value);
            for (int k = 0; k < LANES; k++) sum[k] += scale[r] * value[k];
        }
        memcpy(y + j, sum, sizeof sum);
    }
    for (int r = 0; r < rows; r++) {
        load(type, n - whole, w + r * row_bytes + whole * size, value);
        for (int64_t k = 0; k < n - whole; k++) y[whole + k] += scale[r] * value[k];
    }
}

INLINE void mul(sd_dtype type, const sd_matrix *w, const double *x, double *y)
{
    for (int64_t i = 0; i < w->rows; i++) y[i] = dot(type, w->cols, row_at(w, i), x);
}

INLINE void mul_transposed(sd_dtype type, const sd_matrix *w, const double *x, double *y)
{
    const int64_t row_bytes = w->stride * (type == SD_F32 ? 4 : 2);
    int64_t       i         = 0;

    for (; i + ROWS_AT_ONCE <= w->rows; i += ROWS_AT_ONCE)
        add_rows(type, ROWS_AT_ONCE, w->cols, row_at(w, i), row_bytes, x + i, y);
    for (; i < w->rows; i++) add_rows(type, 1, w->cols, row_at(w, i), row_bytes, x + i, y);
}

/* One function per format: the constant reaches the loops, and each is small enough to read. */
#define FOR_EACH_FORMAT(X) X(SD_F32, f32) X(SD_BF16, bf16) X(SD_F16, f16)

#define DEFINE(type, suffix)                                                                       \
    KERNEL static void mul_##suffix(const sd_matrix *w, const double *x, double *y)                \
    {                                                                                              \
        mul(type, w, x, y);                                                                        \
    }                                                                                              \
    KERNEL static void mul_transposed_##suffix(const sd_matrix *w, const double *x, double *y)     \
    {                                                                                              \
        mul_transposed(type, w, x, y);                                                             \
    }
FOR_EACH_FORMAT(DEFINE)
#undef DEFINE

/* ---- products ---- */

typedef void product(const sd_matrix *w, const double *x, double *y);

void sd_matrix_mul(const sd_matrix *w, const double *x, double *y)
{
    product *const by_type[] = {[SD_F32] = mul_f32, [SD_BF16] = mul_bf16, [SD_F16] = mul_f16};

    by_type[w->type](w, x, y);
}

void sd_matrix_mul_transposed(const sd_matrix *w, const double *x, double *y)
{
    product *const by_type[] = {[SD_F32]  = mul_transposed_f32,
                                [SD_BF16] = mul_transposed_bf16,
                                [SD_F16]  = mul_transposed_f16};

    by_type[w->type](w, x, y);
}

void sd_matrix_rows(const sd_matrix *w, int64_t first, int64_t count, float *out)
{
    for (int64_t i = 0; i < count; i++)
        sd_to_float(w->type, w->cols, row_at(w, first + i), out + i * w->cols);
}

double sd_matrix_bias(const sd_matrix *w, int64_t row)
{
    return w->bias != NULL ? w->bias[row] : 0;
}
