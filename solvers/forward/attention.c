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

/* The logits as the reference caps them, step by step in float. */
static void cap(int64_t n, float softcap, float *x)
{
    for (int64_t i = 0; i < n; i++) x[i] = tanhf(x[i] / softcap) * softcap;
}

/* Softmax of one row over its columns [begin, end) of `cols`; the others become 0. */
static void softmax(int64_t begin, int64_t end, int64_t cols, float *row)
{
    float *const  seen  = row + begin;
    const int64_t n     = end - begin;
    const float   scale = 1.0f / exponentials(n, largest(n, seen), seen);

    for (int64_t j = 0; j < begin; j++) row[j] = 0;
    for (int64_t j = 0; j < n; j++) seen[j] *= scale;
    for (int64_t j = end; j < cols; j++) row[j] = 0;
}

/* The first token that token t sees. */
static int64_t first_seen(const sd_attention_heads *heads, int64_t t)
{
    return heads->window == 0 || t < heads->window ? 0 : t - heads->window + 1;
}

/* Weights of tokens first .. first + rows - 1 on tokens from .. from + cols - 1, from logits. */
static void weigh(const sd_attention_heads *heads, int64_t first, int64_t rows, int64_t from,
                  int64_t cols, float *scores)
{
    if (heads->softcap > 0) cap(rows * cols, heads->softcap, scores);
    for (int64_t t = first; t < first + rows; t++)
        softmax(first_seen(heads, t) - from, t + 1 - from, cols, scores + (t - first) * cols);
}

void sd_attention(const sd_attention_heads *heads, int64_t length, float *query, float *scores)
{
    const int64_t d_head = heads->d_head, shared = heads->n_heads / heads->n_kv;
    const int     ld_query = (int)(heads->n_heads * d_head), ld_kv = (int)(heads->n_kv * d_head);

    for (int64_t h = 0; h < heads->n_heads; h++) {
        const float *key   = heads->key + h / shared * d_head;
        const float *value = heads->value + h / shared * d_head;

        for (int64_t first = 0; first < length; first += SD_ATTENTION_ROWS) {
            const int64_t left = length - first;
            const int64_t rows = left < SD_ATTENTION_ROWS ? left : SD_ATTENTION_ROWS;
            const int64_t from = first_seen(heads, first);
            const int64_t cols = first + rows - from; /* no row of this block sees others */
            float        *part = query + first * ld_query + h * d_head;

            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)cols, (int)d_head,
                        heads->scale, part, ld_query, key + from * ld_kv, ld_kv, 0, scores,
                        (int)cols);
            weigh(heads, first, rows, from, cols, scores);
            /* these rows of the queries are not needed again: their place takes the output */
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)d_head,
                        (int)cols, 1, scores, (int)cols, value + from * ld_kv, ld_kv, 0, part,
                        ld_query);
        }
    }
}
