#include "solvers/forward/attention.h"

#include <cblas.h>
#include <math.h>

#include "solvers/forward/fast_exp.h"

/* The largest of n values; a NaN among them may be missed here and is met again in the sum. */
SD_CLONED static float largest(int64_t n, const float *x)
{
    float         lane[SD_LANES], most = -INFINITY;
    const int64_t whole = n / SD_LANES * SD_LANES;

    for (int k = 0; k < SD_LANES; k++) lane[k] = -INFINITY;
    for (int64_t i = 0; i < whole; i += SD_LANES)
        for (int k = 0; k < SD_LANES; k++) lane[k] = x[i + k] > lane[k] ? x[i + k] : lane[k];
    for (int64_t i = whole; i < n; i++) most = x[i] > most ? x[i] : most;
    for (int k = 0; k < SD_LANES; k++) most = lane[k] > most ? lane[k] : most;
    return most;
}

/* Below exp(-87) a weight is subnormal: too small to be seen, and slow in every product. */
static inline float weight_of(float x)
{
    return x < -87.0f ? 0.0f : sd_fast_exp(x);
}

/* x_i = exp(x_i - shift); returns their sum, one partial sum per lane. */
SD_CLONED static float exponentials(int64_t n, float shift, float *x)
{
    float         lane[SD_LANES] = {0}, sum = 0;
    const int64_t whole = n / SD_LANES * SD_LANES;

    for (int64_t i = 0; i < whole; i += SD_LANES) {
        for (int k = 0; k < SD_LANES; k++) x[i + k] = weight_of(x[i + k] - shift);
        for (int k = 0; k < SD_LANES; k++) lane[k] += x[i + k];
    }
    for (int64_t i = whole; i < n; i++) {
        x[i] = weight_of(x[i] - shift);
        lane[i - whole] += x[i];
    }
    for (int k = 0; k < SD_LANES; k++) sum += lane[k];
    return sum;
}

/* Softmax of row i over its first `seen + i` columns; the columns behind them become 0. */
static void causal_softmax(int64_t rows, int64_t seen, int64_t cols, float *scores)
{
    for (int64_t i = 0; i < rows; i++) {
        float        *row   = scores + i * cols;
        const int64_t valid = seen + i;
        const float   scale = 1.0f / exponentials(valid, largest(valid, row), row);

        for (int64_t j = 0; j < valid; j++) row[j] *= scale;
        for (int64_t j = valid; j < cols; j++) row[j] = 0;
    }
}

void sd_attention(const sd_attention_heads *heads, int64_t length, float *query, float *scores)
{
    const int64_t d_head = heads->d_head, shared = heads->n_heads / heads->n_kv;
    const int     ld_query = (int)(heads->n_heads * d_head), ld_kv = (int)(heads->n_kv * d_head);
    const float   scale = (float)(1 / sqrt((double)d_head));

    for (int64_t h = 0; h < heads->n_heads; h++) {
        const float *key   = heads->key + h / shared * d_head;
        const float *value = heads->value + h / shared * d_head;

        for (int64_t first = 0; first < length; first += SD_ATTENTION_ROWS) {
            const int64_t left = length - first;
            const int64_t rows = left < SD_ATTENTION_ROWS ? left : SD_ATTENTION_ROWS;
            const int64_t cols = first + rows; /* no row of this block sees further */
            float        *part = query + first * ld_query + h * d_head;

            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)cols, (int)d_head,
                        scale, part, ld_query, key, ld_kv, 0, scores, (int)cols);
            causal_softmax(rows, first + 1, cols, scores);
            /* these rows of the queries are not needed again: their place takes the output */
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)d_head,
                        (int)cols, 1, scores, (int)cols, value, ld_kv, 0, part, ld_query);
        }
    }
}
