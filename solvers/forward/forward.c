#include "solvers/forward/forward.h"

#include <cblas.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "solvers/base/memory.h"
#include "solvers/forward/activation.h"
#include "solvers/forward/attention.h"
#include "solvers/forward/rms_norm.h"

struct sd_forward {
    int64_t d, f, n_heads, n_kv, d_head;
    int64_t max_tokens, max_length;
    bool    gated;
    float  *normed;        /* max_tokens x d                                                 */
    float  *work;          /* queries, keys, values; later the FFN's hidden activations      */
    float  *scores;        /* SD_ATTENTION_ROWS x max_length                                 */
    float  *panel;         /* converted rows of a matrix                                     */
    int64_t panel_size;    /* floats of `panel`                                              */
    float  *inv_freq;      /* d_head / 2: whose cosines are in the tables                    */
    float  *cosine, *sine; /* max_length x d_head / 2                                        */
    bool    has_table;
    double *post[2];     /* max_tokens each: what the branches' post-norms divided by      */
    bool    has_post[2]; /* whether the last block had them                                */
};

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- shapes ---- */

static sd_status check_sizes(const sd_block *b, int64_t max_tokens, int64_t max_length)
{
    const int64_t most_size = INT_MAX / 4; /* BLAS counts in int; no product below wraps */
    sd_status     st        = SD_OK;

    SD_REQUIRE(b->d >= 1 && b->d <= most_size && b->f >= 1 && b->f <= most_size, SD_ERR_INTERNAL,
               "a block of hidden size %" PRId64 " and FFN width %" PRId64 " cannot be", b->d,
               b->f);
    SD_REQUIRE(b->n_kv >= 1 && b->n_heads >= b->n_kv && b->n_heads % b->n_kv == 0, SD_ERR_INTERNAL,
               "%" PRId64 " heads cannot share %" PRId64 " key/value heads", b->n_heads, b->n_kv);
    SD_REQUIRE(b->d_head >= 2 && b->d_head % 2 == 0 && b->d_head <= most_size / b->n_heads,
               SD_ERR_INTERNAL, "%" PRId64 " heads of size %" PRId64 " cannot be", b->n_heads,
               b->d_head);
    SD_REQUIRE(max_tokens >= 1 && max_tokens <= most_size && max_length >= 1 &&
                   max_length <= most_size,
               SD_ERR_INTERNAL, "scratch for %" PRId64 " tokens in sequences of %" PRId64,
               max_tokens, max_length);
done:
    return st;
}

static sd_status check_matrix(const sd_matrix *w, int64_t rows, int64_t cols)
{
    sd_status st = SD_OK;

    SD_TRY(sd_matrix_check(w));
    SD_REQUIRE(w->rows == rows && w->cols == cols && w->stride <= INT_MAX, SD_ERR_INTERNAL,
               "a weight is %" PRId64 " x %" PRId64 " (stride %" PRId64 "), want %" PRId64
               " x %" PRId64,
               w->rows, w->cols, w->stride, rows, cols);
done:
    return st;
}

static sd_status check_ffn(const sd_forward *fw, const sd_block *b)
{
    sd_status st = SD_OK;

    SD_REQUIRE(b->d == fw->d && b->f == fw->f && (b->gate.rows > 0) == fw->gated, SD_ERR_INTERNAL,
               "the block's FFN is not of the shape that the scratch was made for");
    SD_REQUIRE((unsigned)b->act < SD_ACT_COUNT, SD_ERR_INTERNAL, "unknown activation %d",
               (int)b->act);
    if (fw->gated) SD_TRY(check_matrix(&b->gate, fw->f, fw->d));
    SD_TRY(check_matrix(&b->up, fw->f, fw->d));
    SD_TRY(check_matrix(&b->down, fw->d, fw->f));
    SD_REQUIRE(b->norm2.gamma != NULL, SD_ERR_INTERNAL, "the FFN's norm has no gamma");
done:
    return st;
}

static sd_status check_attention(const sd_forward *fw, const sd_block *b)
{
    const int64_t width = fw->n_heads * fw->d_head, width_kv = fw->n_kv * fw->d_head;
    sd_status     st = SD_OK;

    SD_REQUIRE(b->n_heads == fw->n_heads && b->n_kv == fw->n_kv && b->d_head == fw->d_head,
               SD_ERR_INTERNAL, "the block's heads are not those that the scratch was made for");
    SD_TRY(check_matrix(&b->query, width, fw->d));
    SD_TRY(check_matrix(&b->key, width_kv, fw->d));
    SD_TRY(check_matrix(&b->value, width_kv, fw->d));
    SD_TRY(check_matrix(&b->out, fw->d, width));
    SD_REQUIRE(b->norm1.gamma != NULL, SD_ERR_INTERNAL, "attention's norm has no gamma");
done:
    return st;
}

static sd_status check_sequences(const sd_forward *fw, const sd_sequences *seq)
{
    sd_status st = SD_OK;

    SD_REQUIRE(seq->n_sequences >= 0 && seq->first[0] == 0, SD_ERR_INTERNAL,
               "sequences must begin at token 0");
    for (int64_t s = 0; s < seq->n_sequences; s++) {
        const int64_t length = seq->first[s + 1] - seq->first[s];

        SD_REQUIRE(length >= 0 && length <= fw->max_length && seq->first[s + 1] <= fw->max_tokens,
                   SD_ERR_INTERNAL,
                   "sequence %" PRId64 " has %" PRId64 " tokens up to %" PRId64
                   "; scratch is for %" PRId64 " up to %" PRId64,
                   s, length, seq->first[s + 1], fw->max_length, fw->max_tokens);
    }
done:
    return st;
}

/* ---- scratch ---- */

/* Enough rows for BLAS to work well, and a bound on memory that no matrix exceeds by much. */
static int64_t panel_rows(int64_t cols)
{
    return most(64, (int64_t)(1 << 20) / cols);
}

sd_status sd_forward_create(const sd_block *block, int64_t max_tokens, int64_t max_length,
                            sd_forward **out)
{
    sd_forward *fw = NULL;
    sd_status   st = SD_OK;

    *out = NULL;
    SD_TRY(check_sizes(block, max_tokens, max_length));
    SD_TRY(sd_alloc(1, sizeof *fw, &fw));
    *fw = (sd_forward){
        .d          = block->d,
        .f          = block->f,
        .n_heads    = block->n_heads,
        .n_kv       = block->n_kv,
        .d_head     = block->d_head,
        .max_tokens = max_tokens,
        .max_length = max_length,
        .gated      = block->gate.rows > 0,
    };
    const int64_t half = fw->d_head / 2, width = (fw->n_heads + 2 * fw->n_kv) * fw->d_head;
    const int64_t longest = most(fw->f, most(fw->d, fw->n_heads * fw->d_head));

    fw->panel_size = most(longest * 64, 1 << 20);
    SD_TRY(sd_alloc(max_tokens * fw->d, sizeof(float), &fw->normed));
    SD_TRY(sd_alloc(max_tokens * most(width, fw->gated ? 2 * fw->f : fw->f), sizeof(float),
                    &fw->work));
    SD_TRY(sd_alloc(SD_ATTENTION_ROWS * max_length, sizeof(float), &fw->scores));
    SD_TRY(sd_alloc(fw->panel_size, sizeof(float), &fw->panel));
    SD_TRY(sd_alloc(half, sizeof(float), &fw->inv_freq));
    SD_TRY(sd_alloc(max_length * half, sizeof(float), &fw->cosine));
    SD_TRY(sd_alloc(max_length * half, sizeof(float), &fw->sine));
    for (int k = 0; k < 2; k++) SD_TRY(sd_alloc(max_tokens, sizeof(double), &fw->post[k]));
    *out = fw;
    fw   = NULL;

done:
    sd_forward_destroy(&fw);
    return st;
}

void sd_forward_destroy(sd_forward **forward)
{
    sd_forward *fw = *forward;

    if (fw == NULL) return;
    sd_free(fw->normed);
    sd_free(fw->work);
    sd_free(fw->scores);
    sd_free(fw->panel);
    sd_free(fw->inv_freq);
    sd_free(fw->cosine);
    sd_free(fw->sine);
    for (int k = 0; k < 2; k++) sd_free(fw->post[k]);
    sd_free(fw);
    *forward = NULL;
}

/* ---- linear layers ---- */

/* A dense n x cols array times the transpose of rows of a matrix. */
typedef struct {
    int64_t      n, rows, cols, stride, ldy;
    const float *x, *weight;
} product;

static void multiply(const product *p, bool add, float *y)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)p->n, (int)p->rows, (int)p->cols, 1,
                p->x, (int)p->cols, p->weight, (int)p->stride, add ? 1 : 0, y, (int)p->ldy);
}

static bool usable_in_place(const sd_matrix *w)
{
    return w->type == SD_F32 && (uintptr_t)w->weight % sizeof(float) == 0;
}

static void multiply_in_panels(sd_forward *fw, const sd_matrix *w, product p, bool add, float *y)
{
    const int64_t step = panel_rows(w->cols);

    p.weight = fw->panel;
    p.stride = w->cols;
    for (int64_t row = 0; row < w->rows; row += step) {
        p.rows = w->rows - row < step ? w->rows - row : step;
        sd_matrix_rows(w, row, p.rows, fw->panel);
        multiply(&p, add, y + row);
    }
}

/* y = x W' + bias, or y += that; x is n x w->cols and y n x w->rows, both dense. */
static void linear(sd_forward *fw, const sd_matrix *w, int64_t n, const float *x, bool add,
                   float *y)
{
    product p = {n, w->rows, w->cols, w->stride, w->rows, x, w->weight};

    if (usable_in_place(w))
        multiply(&p, add, y);
    else
        multiply_in_panels(fw, w, p, add, y);

    if (w->bias == NULL) return;
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < w->rows; i++) y[t * w->rows + i] += w->bias[i];
}

/* ---- the two branches ---- */

static void use_frequencies(sd_forward *fw, const float *inv_freq)
{
    const int64_t half  = fw->d_head / 2;
    const size_t  bytes = (size_t)half * sizeof *inv_freq;

    if (fw->has_table && memcmp(fw->inv_freq, inv_freq, bytes) == 0) return;
    memcpy(fw->inv_freq, inv_freq, bytes);
    sd_rope_table(fw->max_length, half, inv_freq, fw->cosine, fw->sine);
    fw->has_table = true;
}

static void turn(const sd_forward *fw, int64_t length, int64_t n_heads, float *x)
{
    sd_rope_apply(length, n_heads, fw->d_head / 2, fw->cosine, fw->sine, x);
}

/* Norms each head of n tokens, where there is such a norm. */
static void norm_heads(const sd_forward *fw, const sd_norm *norm, int64_t n, int64_t n_heads,
                       float *x)
{
    if (norm->gamma != NULL) sd_rms_norm(norm, n * n_heads, fw->d_head, x, x);
}

enum { ATTENTION, FFN }; /* branches */

/* y = x W' + bias of a branch's last matrix through its post-norm, if there is one; or y += that.
 */
static void finish_branch(sd_forward *fw, const sd_block *b, int branch, int64_t n, const float *x,
                          bool add, float *y)
{
    const sd_matrix *w    = branch == ATTENTION ? &b->out : &b->down;
    const sd_norm   *post = branch == ATTENTION ? &b->post1 : &b->post2;
    float *const     out  = add ? fw->normed : y; /* the branch's input is not needed any more */

    fw->has_post[branch] = post->gamma != NULL;
    if (post->gamma == NULL) {
        linear(fw, w, n, x, add, y);
        return;
    }
    linear(fw, w, n, x, false, out);
    for (int64_t t = 0; t < n; t++)
        fw->post[branch][t] = sd_rms_divisor(post, fw->d, out + t * fw->d);
    sd_rms_norm(post, n, fw->d, out, out);
    for (int64_t i = 0; add && i < n * fw->d; i++) y[i] += out[i];
}

/* x += attention(norm1(x)) */
static void add_attention(sd_forward *fw, const sd_block *b, const sd_sequences *seq, float *x)
{
    const int64_t n     = seq->first[seq->n_sequences];
    const int64_t width = fw->n_heads * fw->d_head, width_kv = fw->n_kv * fw->d_head;
    float        *query = fw->work, *key = query + n * width, *value = key + n * width_kv;
    const double  scale = b->scale > 0 ? b->scale : 1 / sqrt((double)fw->d_head);

    sd_attention_heads heads = {.n_heads = fw->n_heads,
                                .n_kv    = fw->n_kv,
                                .d_head  = fw->d_head,
                                .scale   = (float)scale,
                                .softcap = (float)b->softcap,
                                .window  = b->window};

    sd_rms_norm(&b->norm1, n, fw->d, x, fw->normed);
    linear(fw, &b->query, n, fw->normed, false, query);
    linear(fw, &b->key, n, fw->normed, false, key);
    linear(fw, &b->value, n, fw->normed, false, value);
    norm_heads(fw, &b->norm_q, n, fw->n_heads, query);
    norm_heads(fw, &b->norm_k, n, fw->n_kv, key);
    if (b->rope.inv_freq != NULL) use_frequencies(fw, b->rope.inv_freq);

    for (int64_t s = 0; s < seq->n_sequences; s++) {
        const int64_t first = seq->first[s], length = seq->first[s + 1] - first;
        float        *q = query + first * width, *k = key + first * width_kv;

        if (b->rope.inv_freq != NULL) {
            turn(fw, length, fw->n_heads, q);
            turn(fw, length, fw->n_kv, k);
        }
        heads.key   = k;
        heads.value = value + first * width_kv;
        sd_attention(&heads, length, q, fw->scores);
    }
    finish_branch(fw, b, ATTENTION, n, query, true, x);
}

/* y = ffn(norm2(x)), or y += that */
static void ffn(sd_forward *fw, const sd_block *b, int64_t n, const float *x, bool add, float *y)
{
    float *hidden = fw->work, *up = fw->work + n * fw->f;

    sd_rms_norm(&b->norm2, n, fw->d, x, fw->normed);
    if (fw->gated) {
        linear(fw, &b->gate, n, fw->normed, false, hidden);
        linear(fw, &b->up, n, fw->normed, false, up);
        sd_activate(b->act, n * fw->f, hidden, up);
    } else {
        linear(fw, &b->up, n, fw->normed, false, hidden);
        sd_activate(b->act, n * fw->f, hidden, NULL);
    }
    finish_branch(fw, b, FFN, n, hidden, add, y);
}

/* ---- public ---- */

sd_status sd_forward_block(sd_forward *forward, const sd_block *block, const sd_sequences *seq,
                           float *x, float *mid)
{
    sd_status st = SD_OK;

    SD_TRY(check_attention(forward, block));
    SD_TRY(check_ffn(forward, block));
    SD_TRY(check_sequences(forward, seq));

    const int64_t n     = seq->first[seq->n_sequences];
    const size_t  bytes = (size_t)(n * forward->d) * sizeof *x;

    if (n == 0) goto done;
    if (block->wiring == SD_WIRING_PARALLEL) memcpy(mid, x, bytes);
    add_attention(forward, block, seq, x);
    if (block->wiring == SD_WIRING_SEQUENTIAL) memcpy(mid, x, bytes);
    ffn(forward, block, n, mid, true, x);

done:
    return st;
}

const double *sd_forward_post_divisor(const sd_forward *forward, int branch)
{
    return forward->has_post[branch] ? forward->post[branch] : NULL;
}

sd_status sd_forward_ffn(sd_forward *forward, const sd_block *block, int64_t n, const float *x,
                         float *y)
{
    sd_status st = SD_OK;

    SD_TRY(check_ffn(forward, block));
    SD_REQUIRE(n >= 0 && n <= forward->max_tokens, SD_ERR_INTERNAL,
               "%" PRId64 " states; scratch is for %" PRId64, n, forward->max_tokens);
    if (n > 0) ffn(forward, block, n, x, false, y);

done:
    return st;
}
