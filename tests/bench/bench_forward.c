/*
 * Times one block on a chunk of tokens: bench_forward [TOKENS LENGTH D F HEADS KV REPEATS]
 * Prints seconds and Gflop/s of the whole block and of its parts, for float and bf16 weights.
 * Set OMP_NUM_THREADS=1; without arguments: 8 sequences of 128 through a block of d = 576.
 */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "solvers/base/memory.h"
#include "solvers/forward/activation.h"
#include "solvers/forward/forward.h"

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static sd_matrix random_matrix(sd_dtype type, int64_t rows, int64_t cols)
{
    sd_matrix w = {type, rows, cols, cols, NULL, NULL};
    void     *weight;

    if (sd_alloc(rows * cols, sd_dtype_size(type), &weight) != SD_OK) exit(4);
    for (int64_t i = 0; i < rows * cols; i++) {
        const int value = rand() % 257 - 128; /* exact in bf16 */

        if (type == SD_F32)
            ((float *)weight)[i] = (float)value / 2048;
        else
            ((uint16_t *)weight)[i] = (uint16_t)(value < 0 ? 0xbc80 : 0x3c80);
    }
    w.weight = weight;
    return w;
}

static sd_block random_block(sd_dtype type, const int64_t *size)
{
    const int64_t d = size[2], f = size[3], heads = size[4], kv = size[5], d_head = d / heads;
    static float  gamma[1 << 16], inv_freq[1 << 12];
    const sd_rope_options rope = {SD_ROPE_DEFAULT, 1e5, 1, 1, 4, 8192};

    for (int64_t i = 0; i < d; i++) gamma[i] = 1;
    sd_rope_inv_freq(&rope, d_head, inv_freq);
    return (sd_block){
        .d       = d,
        .f       = f,
        .n_heads = heads,
        .n_kv    = kv,
        .d_head  = d_head,
        .act     = SD_ACT_SILU,
        .norm1   = {gamma, 1e-5},
        .norm2   = {gamma, 1e-5},
        .rope    = {inv_freq},
        .query   = random_matrix(type, heads * d_head, d),
        .key     = random_matrix(type, kv * d_head, d),
        .value   = random_matrix(type, kv * d_head, d),
        .out     = random_matrix(type, d, heads * d_head),
        .gate    = random_matrix(type, f, d),
        .up      = random_matrix(type, f, d),
        .down    = random_matrix(type, d, f),
    };
}

static void report(const char *what, double seconds, double flops)
{
    printf("%-24s %8.2f ms  %7.1f Gflop/s\n", what, 1e3 * seconds, 1e-9 * flops / seconds);
}

static void time_block(sd_dtype type, const int64_t *size)
{
    const sd_block b = random_block(type, size);
    const int64_t  n = size[0], length = size[1], d = b.d, repeats = size[6];
    const double   weights =
        (double)d * (double)(2 * b.n_heads * b.d_head + 2 * b.n_kv * b.d_head + 3 * b.f);
    const double scores      = 4.0 * (double)(n * length * b.n_heads * b.d_head);
    int64_t      first[4097] = {0};
    sd_sequences seq         = {n / length, first};
    sd_forward  *fw;
    float       *x, *mid;
    double       total = 0;
    double       start = 0;
    char         name[64];

    if (sd_forward_create(&b, n, length, &fw) != SD_OK || sd_alloc(n * d, 4, &x) != SD_OK ||
        sd_alloc(n * d, 4, &mid) != SD_OK)
        exit(4);
    for (int64_t s = 0; s <= seq.n_sequences; s++) first[s] = s * length;
    for (int64_t r = -1; r < repeats; r++) { /* the first one warms up */
        for (int64_t i = 0; i < n * d; i++) x[i] = (float)((7919 * i) % 2001 - 1000) / 1000;
        start = now_s();
        if (sd_forward_block(fw, &b, &seq, x, mid) != SD_OK) exit(5);
        if (r >= 0) total += now_s() - start;
    }
    snprintf(name, sizeof name, "block %s", sd_dtype_name(type));
    report(name, total / (double)repeats, 2 * (double)n * weights + scores);
    sd_forward_destroy(&fw);
    sd_free(x);
    sd_free(mid);
}

static void time_parts(const int64_t *size)
{
    const int64_t n = size[0], d = size[2], f = size[3], repeats = size[6];
    float        *x, *w, *y;
    double        start = 0;

    if (sd_alloc(n * d, 4, &x) != SD_OK || sd_alloc(f * d, 4, &w) != SD_OK ||
        sd_alloc(n * f, 4, &y) != SD_OK)
        exit(4);
    for (int64_t r = -1; r < repeats; r++) {
        if (r == 0) start = now_s();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)f, (int)d, 1, x, (int)d,
                    w, (int)d, 0, y, (int)f);
    }
    report("sgemm n x f x d alone", (now_s() - start) / (double)repeats, 2 * (double)(n * f * d));
    start = now_s();
    for (int64_t r = 0; r < repeats; r++) sd_activate(SD_ACT_SILU, n * f, y, NULL);
    printf("%-24s %8.2f ms  %7.2f ns/element\n", "SiLU", 1e3 * (now_s() - start) / (double)repeats,
           1e9 * (now_s() - start) / (double)(repeats * n * f));
    sd_free(x);
    sd_free(w);
    sd_free(y);
}

int main(int argc, char **argv)
{
    int64_t size[7] = {1024, 128, 576, 1536, 9, 3, 10};

    for (int k = 1; k < argc && k <= 7; k++) size[k - 1] = atoll(argv[k]);
    if (size[0] / size[1] > 4096 || size[2] > 1 << 16 || size[6] < 1) return 2;
    time_parts(size);
    time_block(SD_F32, size);
    time_block(SD_BF16, size);
    return 0;
}
