/* One block against a plain loop in double; independence of sequences and tokens; bad input. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "solvers/base/memory.h"
#include "solvers/forward/forward.h"
#include "tests/support/check.h"

/* The product's promise; blocks here lose 1e-6 at most. */
static const double promise = 2e-5;

/* ---- random blocks ---- */

typedef struct {
    int64_t   d, f, n_heads, n_kv, d_head;
    bool      gated, bias, rope;
    sd_act    act;
    sd_wiring wiring;
    sd_dtype  type;
    int64_t   padding;    /* stride - cols */
    bool      more_norms; /* behind the branches, and of query and key heads */
    double    scale, softcap;
    int64_t   window;
} shape;

static const shape shapes[] = {
    {12, 20, 3, 3, 4, true, false, true, SD_ACT_SILU, SD_WIRING_SEQUENTIAL, SD_F32, 0, false, 0, 0,
     0},
    {10, 33, 6, 2, 6, true, true, true, SD_ACT_GELU, SD_WIRING_SEQUENTIAL, SD_BF16, 5, false, 0, 0,
     0},
    {17, 24, 4, 1, 2, false, true, true, SD_ACT_GELU_TANH, SD_WIRING_PARALLEL, SD_F16, 0, false, 0,
     0, 0},
    {8, 8, 1, 1, 8, false, false, false, SD_ACT_RELU, SD_WIRING_PARALLEL, SD_F32, 3, false, 0, 0,
     0},
    {1, 1, 2, 1, 2, false, true, true, SD_ACT_RELU_SQUARED, SD_WIRING_SEQUENTIAL, SD_BF16, 0, false,
     0, 0, 0},
    {13, 20, 6, 2, 4, true, false, true, SD_ACT_GELU_TANH, SD_WIRING_SEQUENTIAL, SD_F32, 0, true,
     0.3, 0, 7},
    {10, 12, 3, 3, 6, true, true, true, SD_ACT_SILU, SD_WIRING_PARALLEL, SD_BF16, 0, true, 2, 1.5,
     0},
    {11, 9, 2, 1, 2, false, false, true, SD_ACT_RELU, SD_WIRING_SEQUENTIAL, SD_F32, 0, false, 0, 0,
     1},
    {9, 9, 2, 2, 4, true, false, true, SD_ACT_SILU, SD_WIRING_SEQUENTIAL, SD_F32, 0, false, 0, 3,
     130},
    /* wide enough for the converted panels to be split: 2^20 weights or 64 rows */
    {70, 20000, 2, 1, 4, true, false, true, SD_ACT_SILU, SD_WIRING_SEQUENTIAL, SD_BF16, 0, false, 0,
     0, 0},
};

typedef struct {
    sd_block block;
    float    inv_freq[16];
    void    *owned[32];
    int      n_owned;
} fixture;

static uint32_t state;

/* multiples of 1/64 in [-1, 1]: exact in all formats */
static float draw(void)
{
    state = state * 1664525u + 1013904223u;
    return (float)((int)(state >> 16) % 129 - 64) / 64;
}

static void *own(fixture *x, int64_t count, int64_t size)
{
    void *memory = NULL;

    CHECK(sd_alloc(count, size, &memory) == SD_OK);
    return x->owned[x->n_owned++] = memory;
}

static float *random_floats(fixture *x, int64_t n, float base, float scale)
{
    float *values = own(x, n, sizeof *values);

    for (int64_t i = 0; i < n; i++) values[i] = base + scale * draw();
    return values;
}

/* a power of two times a multiple of 1/64 with few bits */
static uint16_t half_of(sd_dtype type, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    if (type == SD_BF16 || value == 0) return (uint16_t)(bits >> 16);
    return (uint16_t)((bits >> 16 & 0x8000u) | (((bits >> 23 & 0xff) - 112) << 10) |
                      (bits >> 13 & 0x3ff));
}

static sd_matrix random_matrix(fixture *x, const shape *s, int64_t rows, int64_t cols)
{
    const int64_t stride = cols + s->padding;
    const float   scale  = (float)ldexp(1, -(int)(log2((double)cols) / 2)); /* about 1 / sqrt */
    sd_matrix     w      = {s->type, rows, cols, stride, NULL, NULL};
    void         *weight = own(x, rows * stride, sd_dtype_size(s->type));

    for (int64_t i = 0; i < rows * stride; i++) {
        const float value = i % stride < cols ? scale * draw() : 1024; /* padding nobody may read */

        if (s->type == SD_F32)
            ((float *)weight)[i] = value;
        else
            ((uint16_t *)weight)[i] = half_of(s->type, value);
    }
    w.weight = weight;
    if (s->bias) w.bias = random_floats(x, rows, 0, 0.5f);
    return w;
}

static void make(fixture *x, const shape *s)
{
    const int64_t         width = s->n_heads * s->d_head, width_kv = s->n_kv * s->d_head;
    const sd_rope_options rope = {.kind = SD_ROPE_DEFAULT, .theta = 100};

    state = 7;
    memset(x, 0, sizeof *x);
    sd_rope_inv_freq(&rope, s->d_head, x->inv_freq);
    x->block = (sd_block){
        .d       = s->d,
        .f       = s->f,
        .n_heads = s->n_heads,
        .n_kv    = s->n_kv,
        .d_head  = s->d_head,
        .wiring  = s->wiring,
        .act     = s->act,
        .norm1   = {random_floats(x, s->d, 1, 0.5f), 1e-5},
        .norm2   = {random_floats(x, s->d, 1, 0.5f), 1e-3},
        .rope    = {s->rope ? x->inv_freq : NULL},
        .query   = random_matrix(x, s, width, s->d),
        .key     = random_matrix(x, s, width_kv, s->d),
        .value   = random_matrix(x, s, width_kv, s->d),
        .out     = random_matrix(x, s, s->d, width),
        .up      = random_matrix(x, s, s->f, s->d),
        .down    = random_matrix(x, s, s->d, s->f),
    };
    if (s->gated) x->block.gate = random_matrix(x, s, s->f, s->d);
    x->block.scale   = s->scale;
    x->block.softcap = s->softcap;
    x->block.window  = s->window;
    if (!s->more_norms) return;
    x->block.post1  = (sd_norm){random_floats(x, s->d, 2, 0.5f), 1e-4};
    x->block.post2  = (sd_norm){random_floats(x, s->d, 2, 0.5f), 1e-2};
    x->block.norm_q = (sd_norm){random_floats(x, s->d_head, 1, 0.5f), 1e-5};
    x->block.norm_k = (sd_norm){random_floats(x, s->d_head, 1, 0.5f), 1e-3};
}

static void release(fixture *x)
{
    for (int k = 0; k < x->n_owned; k++) sd_free(x->owned[k]);
}

/* ---- the same in plain loops ---- */

static double *doubles(int64_t n)
{
    double *values = NULL;

    CHECK(sd_alloc(n, sizeof *values, &values) == SD_OK);
    return values;
}

static void naive_linear(const sd_matrix *w, int64_t n, const double *x, double *y)
{
    float *row = NULL;

    CHECK(sd_alloc(w->cols, sizeof *row, &row) == SD_OK);
    for (int64_t i = 0; i < w->rows; i++) {
        sd_matrix_rows(w, i, 1, row);
        for (int64_t t = 0; t < n; t++) {
            y[t * w->rows + i] = sd_matrix_bias(w, i);
            for (int64_t k = 0; k < w->cols; k++) y[t * w->rows + i] += row[k] * x[t * w->cols + k];
        }
    }
    sd_free(row);
}

static void naive_norm(const sd_norm *norm, int64_t n, int64_t d, const double *x, double *y)
{
    for (int64_t t = 0; t < n; t++) {
        double mean = 0;

        for (int64_t i = 0; i < d; i++) mean += x[t * d + i] * x[t * d + i] / (double)d;
        for (int64_t i = 0; i < d; i++)
            y[t * d + i] = norm->gamma[i] * x[t * d + i] / sqrt(mean + norm->eps);
    }
}

static double naive_act(sd_act act, double a)
{
    const double u = sqrt(2 / acos(-1.0)) * (a + 0.044715 * a * a * a);

    switch (act) {
    case SD_ACT_SILU: return a / (1 + exp(-a));
    case SD_ACT_GELU: return 0.5 * a * (1 + erf(a / sqrt(2)));
    case SD_ACT_GELU_TANH: return 0.5 * a * (1 + tanh(u));
    case SD_ACT_RELU: return fmax(a, 0);
    case SD_ACT_RELU_SQUARED: return fmax(a, 0) * fmax(a, 0);
    case SD_ACT_COUNT: break;
    }
    return NAN;
}

static void naive_ffn(const sd_block *b, int64_t n, const double *x, double *y)
{
    double *normed = doubles(n * b->d), *gate = doubles(n * b->f), *up = doubles(n * b->f);

    naive_norm(&b->norm2, n, b->d, x, normed);
    naive_linear(&b->up, n, normed, up);
    if (b->gate.rows > 0) naive_linear(&b->gate, n, normed, gate);
    for (int64_t i = 0; i < n * b->f; i++)
        up[i] = b->gate.rows > 0 ? naive_act(b->act, gate[i]) * up[i] : naive_act(b->act, up[i]);
    naive_linear(&b->down, n, up, y);
    if (b->post2.gamma != NULL) naive_norm(&b->post2, n, b->d, y, y);
    sd_free(normed);
    sd_free(gate);
    sd_free(up);
}

static void naive_turn(const sd_block *b, int64_t position, double *head)
{
    const int64_t half = b->d_head / 2;

    for (int64_t i = 0; i < half && b->rope.inv_freq != NULL; i++) {
        const double angle = (double)position * b->rope.inv_freq[i];
        const double p = head[i], q = head[i + half];

        head[i]        = p * cos(angle) - q * sin(angle);
        head[i + half] = q * cos(angle) + p * sin(angle);
    }
}

/* one head of one token: weights of all tokens up to it, then their mean of the values */
static void naive_head(const sd_block *b, int64_t t, const double *q, const double *k,
                       const double *v, double *out)
{
    const int64_t stride = b->n_kv * b->d_head;
    const double  scale  = b->scale > 0 ? b->scale : 1 / sqrt((double)b->d_head);
    double        total = 0, *sum = doubles(b->d_head);

    for (int64_t s = 0; s <= t; s++) {
        double score = 0;

        if (b->window > 0 && t - s >= b->window) continue;
        for (int64_t i = 0; i < b->d_head; i++) score += scale * q[i] * k[s * stride + i];
        if (b->softcap > 0) score = b->softcap * tanh(score / b->softcap);
        const double weight = exp(score);

        total += weight;
        for (int64_t i = 0; i < b->d_head; i++) sum[i] += weight * v[s * stride + i];
    }
    for (int64_t i = 0; i < b->d_head; i++) out[i] = sum[i] / total;
    sd_free(sum);
}

static void naive_attention(const sd_block *b, int64_t n, const double *x, double *y)
{
    const int64_t width = b->n_heads * b->d_head, width_kv = b->n_kv * b->d_head;
    double       *normed = doubles(n * b->d), *q = doubles(n * width), *k = doubles(n * width_kv);
    double       *v = doubles(n * width_kv), *heads = doubles(n * width);

    naive_norm(&b->norm1, n, b->d, x, normed);
    naive_linear(&b->query, n, normed, q);
    naive_linear(&b->key, n, normed, k);
    naive_linear(&b->value, n, normed, v);
    if (b->norm_q.gamma != NULL) naive_norm(&b->norm_q, n * b->n_heads, b->d_head, q, q);
    if (b->norm_k.gamma != NULL) naive_norm(&b->norm_k, n * b->n_kv, b->d_head, k, k);
    for (int64_t t = 0; t < n; t++) {
        for (int64_t h = 0; h < b->n_heads; h++) naive_turn(b, t, q + t * width + h * b->d_head);
        for (int64_t h = 0; h < b->n_kv; h++) naive_turn(b, t, k + t * width_kv + h * b->d_head);
    }
    for (int64_t t = 0; t < n; t++) {
        for (int64_t h = 0; h < b->n_heads; h++) {
            const int64_t at = h / (b->n_heads / b->n_kv) * b->d_head;

            naive_head(b, t, q + t * width + h * b->d_head, k + at, v + at,
                       heads + t * width + h * b->d_head);
        }
    }
    naive_linear(&b->out, n, heads, y);
    if (b->post1.gamma != NULL) naive_norm(&b->post1, n, b->d, y, y);
    sd_free(normed);
    sd_free(q);
    sd_free(k);
    sd_free(v);
    sd_free(heads);
}

/* one sequence; x in and out */
static void naive_block(const sd_block *b, int64_t n, double *x, double *mid)
{
    double *attention = doubles(n * b->d), *ffn = doubles(n * b->d);

    naive_attention(b, n, x, attention);
    for (int64_t i = 0; i < n * b->d; i++)
        mid[i] = x[i] + (b->wiring == SD_WIRING_SEQUENTIAL ? attention[i] : 0);
    naive_ffn(b, n, mid, ffn);
    for (int64_t i = 0; i < n * b->d; i++) x[i] += attention[i] + ffn[i];
    sd_free(attention);
    sd_free(ffn);
}

/* ---- tests ---- */

static void close_rows(int64_t n, int64_t d, const float *got, const double *want)
{
    for (int64_t t = 0; t < n; t++) {
        double off = 0, size = 0;

        for (int64_t i = 0; i < d; i++) {
            off += pow(got[t * d + i] - want[t * d + i], 2);
            size += pow(want[t * d + i], 2);
        }
        CLOSE(sqrt(off), 0, promise * sqrt(size));
    }
}

enum { TOKENS = 140 };
static const int64_t      firsts[]  = {0, 3, 3, 135, 136}; /* lengths 3, 0, 132, 1 */
static const sd_sequences sequences = {4, firsts};

static void block_equals_plain_loops(const shape *s)
{
    const int64_t      n = s->f > 1000 ? 3 : firsts[4], d = s->d;
    const int64_t      short_call[] = {0, 3};
    const sd_sequences seq          = s->f > 1000 ? (sd_sequences){1, short_call} : sequences;
    float             *x, *mid, *y;
    double     *want = doubles(n * d), *want_mid = doubles(n * d), *want_ffn = doubles(n * d);
    fixture     fix;
    sd_forward *fw = NULL;

    make(&fix, s);
    x   = random_floats(&fix, n * d, 0.25f, 2);
    mid = own(&fix, n * d, sizeof *mid);
    y   = own(&fix, n * d, sizeof *y);
    for (int64_t i = 0; i < n * d; i++) want[i] = x[i];
    for (int64_t k = 0; k < seq.n_sequences; k++)
        naive_block(&fix.block, seq.first[k + 1] - seq.first[k], want + seq.first[k] * d,
                    want_mid + seq.first[k] * d);
    naive_ffn(&fix.block, n, want_mid, want_ffn);

    CHECK(sd_forward_create(&fix.block, TOKENS, 132, &fw) == SD_OK);
    CHECK(sd_forward_block(fw, &fix.block, &seq, x, mid) == SD_OK);
    close_rows(n, d, x, want);
    close_rows(n, d, mid, want_mid);
    CHECK(sd_forward_ffn(fw, &fix.block, n, mid, y) == SD_OK);
    /* the branch may be smaller than the state that it is known against */
    for (int64_t i = 0; i < n * d; i++) CLOSE(y[i], want_ffn[i], promise * (1 + fabs(want[i])));
    CHECK(sd_forward_ffn(fw, &fix.block, n, mid, mid) == SD_OK &&
          memcmp(mid, y, (size_t)(n * d) * sizeof *y) == 0);
    sd_forward_destroy(&fw);
    CHECK(fw == NULL);
    release(&fix);
    sd_free(want);
    sd_free(want_mid);
    sd_free(want_ffn);
}

/* A token changes neither those before it nor other sequences, to the last bit; NaN stays likewise.
 */
static void tokens_touch_only_what_follows_in_their_sequence(void)
{
    const float values[] = {3, NAN};
    fixture     fix;
    sd_forward *fw = NULL;

    make(&fix, &shapes[0]);
    const int64_t d = fix.block.d, n = firsts[4], changed = 130;
    const size_t  bytes = (size_t)(n * d) * sizeof(float);
    float        *x = random_floats(&fix, n * d, 0, 1), *mid = own(&fix, n * d, sizeof *mid);
    float        *a = own(&fix, n * d, sizeof *a), *b = own(&fix, n * d, sizeof *b);

    CHECK(sd_forward_create(&fix.block, n, 132, &fw) == SD_OK);
    memcpy(a, x, bytes);
    CHECK(sd_forward_block(fw, &fix.block, &sequences, a, mid) == SD_OK);
    memcpy(b, x, bytes);
    CHECK(sd_forward_block(fw, &fix.block, &sequences, b, mid) == SD_OK);
    CHECK(memcmp(a, b, bytes) == 0);
    for (int k = 0; k < 2; k++) {
        memcpy(b, x, bytes);
        b[changed * d] = values[k];
        CHECK(sd_forward_block(fw, &fix.block, &sequences, b, mid) == SD_OK);
        /* its row block of the scores begins at position 128 of a sequence that begins at token 3
         */
        const int64_t same = k == 0 ? changed : 3;

        CHECK(memcmp(a, b, (size_t)(same * d) * sizeof *a) == 0);
        for (int64_t t = changed; t < firsts[3]; t++) CHECK(!(a[t * d] == b[t * d]));
        CHECK(memcmp(a + firsts[3] * d, b + firsts[3] * d, (size_t)d * sizeof *a) == 0);
    }
    CHECK(isnan(b[changed * d]));
    sd_forward_destroy(&fw);
    release(&fix);
}

/*
 * Scores of several hundred, which exp() alone would turn into infinity. A score s is known to a
 * few times 2^-24 |s|, here 1e-4, and a weight to that part of itself.
 */
static void large_scores_do_not_overflow(void)
{
    fixture     fix;
    sd_forward *fw = NULL;

    make(&fix, &shapes[0]);
    const int64_t d = fix.block.d, n = 20, first[] = {0, 20};
    float        *x = random_floats(&fix, n * d, 0, 1), *mid = own(&fix, n * d, sizeof *mid);
    float        *gamma = random_floats(&fix, d, 12, 2);
    double       *want = doubles(n * d), *want_mid = doubles(n * d);

    fix.block.norm1.gamma = gamma;
    for (int64_t i = 0; i < n * d; i++) want[i] = x[i];
    naive_block(&fix.block, n, want, want_mid);
    CHECK(sd_forward_create(&fix.block, n, n, &fw) == SD_OK);
    CHECK(sd_forward_block(fw, &fix.block, &(sd_sequences){1, first}, x, mid) == SD_OK);
    for (int64_t i = 0; i < n * d; i++) CLOSE(mid[i], want_mid[i], 1e-4 * (50 + fabs(want_mid[i])));
    sd_forward_destroy(&fw);
    release(&fix);
    sd_free(want);
    sd_free(want_mid);
}

static double rms(int64_t d, double eps, const float *x)
{
    double sum = 0;

    for (int64_t i = 0; i < d; i++) sum += (double)x[i] * x[i];
    return sqrt(sum / (double)d + eps);
}

/* The branches as they are without their post-norms have the sizes that these divide by. */
static void what_post_norms_divided_by_is_kept(void)
{
    fixture     fix;
    sd_forward *fw = NULL;

    make(&fix, &shapes[5]);
    const int64_t d = fix.block.d, n = 5, first[] = {0, 4, 5};
    const sd_norm post1 = fix.block.post1, post2 = fix.block.post2;
    float        *x = random_floats(&fix, n * d, 0, 1), *plain = own(&fix, n * d, sizeof *plain);
    float        *mid = own(&fix, n * d, sizeof *mid), *after = own(&fix, n * d, sizeof *after);
    double        divisor[5];
    const double *seen;

    CHECK(fix.block.wiring == SD_WIRING_SEQUENTIAL && post1.gamma != NULL);
    memcpy(after, x, (size_t)(n * d) * sizeof *x);
    CHECK(sd_forward_create(&fix.block, n, n, &fw) == SD_OK);
    CHECK(sd_forward_block(fw, &fix.block, &(sd_sequences){2, first}, after, mid) == SD_OK);
    memcpy(divisor, sd_forward_post_divisor(fw, 0), sizeof divisor);
    seen                  = sd_forward_post_divisor(fw, 1);
    fix.block.post2.gamma = NULL;
    for (int64_t t = 0; t < n; t++) {
        const double kept = seen[t];

        CHECK(sd_forward_ffn(fw, &fix.block, 1, mid + t * d, plain) == SD_OK);
        CLOSE(kept / rms(d, post2.eps, plain), 1, promise);
    }
    CHECK(sd_forward_post_divisor(fw, 1) == NULL);

    fix.block.post1.gamma = NULL;
    memcpy(plain, x, (size_t)(n * d) * sizeof *x);
    CHECK(sd_forward_block(fw, &fix.block, &(sd_sequences){2, first}, plain, mid) == SD_OK);
    for (int64_t i = 0; i < n * d; i++) mid[i] -= x[i];
    for (int64_t t = 0; t < n; t++)
        CLOSE(divisor[t] / rms(d, post1.eps, mid + t * d), 1, 10 * promise); /* a difference */
    CHECK(sd_forward_post_divisor(fw, 0) == NULL);
    sd_forward_destroy(&fw);
    release(&fix);
}

/* The tables of another base must not be used for this one. */
static void frequencies_may_change_between_blocks(void)
{
    const sd_rope_options other = {.kind = SD_ROPE_DEFAULT, .theta = 5};
    fixture               fix;
    sd_forward           *fw = NULL, *fresh = NULL;

    make(&fix, &shapes[0]);
    const int64_t n = firsts[4] * fix.block.d;
    float        *x = random_floats(&fix, n, 0, 1), *mid = own(&fix, n, sizeof *mid);
    float        *a = own(&fix, n, sizeof *a), *b = own(&fix, n, sizeof *b);

    memcpy(a, x, (size_t)n * sizeof *x);
    memcpy(b, x, (size_t)n * sizeof *x);
    CHECK(sd_forward_create(&fix.block, TOKENS, 132, &fw) == SD_OK);
    CHECK(sd_forward_create(&fix.block, TOKENS, 132, &fresh) == SD_OK);
    CHECK(sd_forward_block(fw, &fix.block, &sequences, x, mid) == SD_OK);
    sd_rope_inv_freq(&other, fix.block.d_head, fix.inv_freq);
    CHECK(sd_forward_block(fw, &fix.block, &sequences, a, mid) == SD_OK);
    CHECK(sd_forward_block(fresh, &fix.block, &sequences, b, mid) == SD_OK);
    CHECK(memcmp(a, b, (size_t)n * sizeof *a) == 0);
    CHECK(memcmp(a, x, (size_t)n * sizeof *a) != 0);
    sd_forward_destroy(&fw);
    sd_forward_destroy(&fresh);
    release(&fix);
}

static void nothing_to_do_is_done(void)
{
    const int64_t zero[] = {0, 0};
    fixture       fix;
    sd_forward   *fw = NULL;
    float         x  = 1;

    make(&fix, &shapes[0]);
    CHECK(sd_forward_create(&fix.block, 1, 1, &fw) == SD_OK);
    CHECK(sd_forward_block(fw, &fix.block, &(sd_sequences){0, zero}, &x, &x) == SD_OK);
    CHECK(sd_forward_block(fw, &fix.block, &(sd_sequences){1, zero}, &x, &x) == SD_OK);
    CHECK(sd_forward_ffn(fw, &fix.block, 0, &x, &x) == SD_OK);
    CHECK(x == 1);
    sd_forward_destroy(&fw);
    sd_forward_destroy(&fw);
    release(&fix);
}

static bool refused(sd_status st, const char *text)
{
    const bool as_wanted = st == SD_ERR_INTERNAL && strstr(sd_message(), text) != NULL;

    if (!as_wanted) fprintf(stderr, "status %d, message '%s'\n", (int)st, sd_message());
    sd_clear();
    return as_wanted;
}

static void bad_shapes_are_refused_with_a_reason(void)
{
    const int64_t long_one[] = {0, 5}, falling[] = {0, 3, 2}, late[] = {1, 2},
                  many[] = {0, 4, 8, 12};
    fixture     fix, other;
    sd_forward *fw     = NULL;
    float       x[200] = {0}, mid[200];
    sd_block    bad;

    make(&fix, &shapes[0]);
    make(&other, &shapes[1]);
    sd_clear();
    CHECK(sd_forward_create(&fix.block, 10, 4, &fw) == SD_OK);
#define RUN(seq_count, offsets, block)                                                             \
    sd_forward_block(fw, &(block), &(sd_sequences){(seq_count), (offsets)}, x, mid)
    CHECK(refused(RUN(1, long_one, fix.block), "sequence 0 has 5 tokens"));
    CHECK(refused(RUN(2, falling, fix.block), "sequence 1 has -1 tokens"));
    CHECK(refused(RUN(1, late, fix.block), "begin at token 0"));
    CHECK(refused(RUN(3, many, fix.block), "up to 12"));
    CHECK(refused(RUN(1, many, other.block), "heads"));
    bad     = fix.block;
    bad.act = SD_ACT_COUNT;
    CHECK(refused(RUN(1, many, bad), "unknown activation"));
    bad           = fix.block;
    bad.gate.rows = 0;
    CHECK(refused(RUN(1, many, bad), "FFN"));
    bad           = fix.block;
    bad.down.cols = 19;
    CHECK(refused(RUN(1, many, bad), "12 x 19"));
    bad          = fix.block;
    bad.key.rows = 11;
    CHECK(refused(RUN(1, many, bad), "11 x 12"));
    bad              = fix.block;
    bad.value.weight = NULL;
    CHECK(refused(RUN(1, many, bad), "without weights"));
    CHECK(refused(sd_forward_ffn(fw, &fix.block, 11, x, mid), "11 states"));
#undef RUN
    for (int i = 0; i < 200; i++) CHECK(x[i] == 0);
    sd_forward_destroy(&fw);
    release(&fix);
    release(&other);
}

static void bad_sizes_make_no_scratch(void)
{
    sd_forward *fw = NULL;
    fixture     fix;
    sd_block    bad;

    make(&fix, &shapes[0]);
    bad      = fix.block;
    bad.n_kv = 2; /* three heads cannot share two */
    CHECK(refused(sd_forward_create(&bad, 10, 4, &fw), "3 heads"));
    bad        = fix.block;
    bad.d_head = 3;
    CHECK(refused(sd_forward_create(&bad, 10, 4, &fw), "size 3"));
    bad   = fix.block;
    bad.d = INT64_MAX;
    CHECK(refused(sd_forward_create(&bad, 10, 4, &fw), "hidden size"));
    CHECK(refused(sd_forward_create(&fix.block, 0, 4, &fw), "0 tokens"));
    CHECK(refused(sd_forward_create(&fix.block, INT64_MAX, 4, &fw), "tokens"));
    CHECK(fw == NULL);
    release(&fix);
}

static void every_failed_allocation_is_survived(void)
{
    sd_forward *fw = NULL;
    sd_status   st = SD_ERR_RESOURCE;
    fixture     fix;

    make(&fix, &shapes[0]);
    for (int k = 1; k < 100 && st != SD_OK; k++) {
        sd_clear();
        sd_alloc_fail_at(k);
        st = sd_forward_create(&fix.block, 10, 4, &fw);
        CHECK(st == SD_OK || (st == SD_ERR_RESOURCE && fw == NULL));
    }
    sd_alloc_fail_at(0);
    sd_clear();
    CHECK(st == SD_OK);
    sd_forward_destroy(&fw);
    release(&fix);
}

int main(void)
{
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
        block_equals_plain_loops(&shapes[k]);
    tokens_touch_only_what_follows_in_their_sequence();
    large_scores_do_not_overflow();
    what_post_norms_divided_by_is_kept();
    frequencies_may_change_between_blocks();
    nothing_to_do_is_done();
    bad_shapes_are_refused_with_a_reason();
    bad_sizes_make_no_scratch();
    every_failed_allocation_is_survived();
    return REPORT();
}
