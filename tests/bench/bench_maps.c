/*
 * Times the maps of the decay at one layer: bench_maps [D F HEADS KV PHASES]
 * Prints CPU seconds for forming each from the weights, and for making all of A and F formed once.
 * Set OMP_NUM_THREADS=1; without arguments: a layer of d = 576 with two phases.
 */
#include <stdio.h>
#include <time.h>

#include "solvers/base/memory.h"
#include "solvers/layer_op.h"
#include "tests/support/made_block.h"

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static sd_layer_map map_of(const sd_layer_op *op, int i)
{
    return i == 0 ? sd_map_paper(op) : i == 1 ? sd_map_sum() : sd_map_scaled(op, 2, 3);
}

static sd_status anew(const sd_layer_op *op, int64_t d, int n, double *m)
{
    sd_status st = SD_OK;

    for (int i = 0; i < n; i++) SD_TRY(sd_layer_op_columns(op, map_of(op, i), d, NULL, m));
done:
    return st;
}

static sd_status once(const sd_layer_op *op, int64_t d, int n, double *m)
{
    sd_status     st = SD_OK;
    double *const a = m + d * d, *const f = a + d * d;

    SD_TRY(sd_layer_op_columns(op, sd_map_attention_part(), d, NULL, a));
    SD_TRY(sd_layer_op_columns(op, sd_map_ffn(), d, NULL, f));
    for (int i = 0; i < n; i++) sd_layer_map_form(map_of(op, i), d, a, f, m);
done:
    return st;
}

int main(int argc, char **argv)
{
    int64_t                 size[] = {576, 1536, 9, 3, 2};
    const sd_linear_options plain  = {false, false};
    sd_layer_op            *op     = NULL;
    double                 *m      = NULL;
    made_block              made;

    for (int i = 1; i < argc && i <= 5; i++) size[i - 1] = atoll(argv[i]);
    const int64_t    d     = size[0];
    const int        n     = 2 + (int)size[4];
    const made_shape shape = {.d       = d,
                              .f       = size[1],
                              .n_heads = size[2],
                              .n_kv    = size[3],
                              .d_head  = d / size[2],
                              .act     = SD_ACT_SILU,
                              .type    = SD_F32,
                              .gated   = true};
    make_block(&shape, 1, &made);
    if (sd_layer_op_create(&made.block, &plain, &op) != SD_OK ||
        sd_alloc(3 * d * d, sizeof *m, &m) != SD_OK)
        return 4;
    for (int repeat = 0; repeat < 3; repeat++) {
        const double begin = now_s();
        if (anew(op, d, n, m) != SD_OK) return 4;
        const double between = now_s();
        if (once(op, d, n, m) != SD_OK) return 4;
        printf("%d maps, d = %lld: each anew %.3f s, of A and F %.3f s\n", n, (long long)d,
               between - begin, now_s() - between);
    }
    sd_free(m);
    sd_layer_op_destroy(&op);
    free_block(&made);
    return 0;
}
