#include "pipeline/states.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "solvers/base/agree.h"
#include "solvers/base/memory.h"
#include "solvers/phases.h"

enum {
    CHUNK_TOKENS = 1024, /* enough for the matrix products to run at full speed */
    SAMPLE       = 1024, /* tokens behind the real R^2                          */
};

/* ---- layout ---- */

static sd_status cut_chunks(sd_states *s)
{
    sd_status st = SD_OK;

    SD_TRY(sd_alloc(s->ids->n_sequences + 1, sizeof *s->chunk, &s->chunk));
    for (int64_t q = 0; q < s->ids->n_sequences; s->n_chunks++) {
        const int64_t begin = q;

        s->chunk[s->n_chunks] = begin;
        while (q < s->ids->n_sequences &&
               (q == begin || s->ids->first[q + 1] - s->ids->first[begin] <= CHUNK_TOKENS))
            q++;
    }
    s->chunk[s->n_chunks] = s->ids->n_sequences;

done:
    return st;
}

static int64_t first_token_of(const sd_states *s, int rank)
{
    return s->ids->first[s->chunk[rank * s->n_chunks / s->size]];
}

static sd_status share_out(sd_states *s)
{
    sd_status st = SD_OK;

    SD_REQUIRE(s->n_tokens <= INT_MAX, SD_ERR_INPUT,
               "%" PRId64 " tokens are too many for one checkpoint; want at most %d", s->n_tokens,
               INT_MAX);
    SD_TRY(sd_alloc(s->size, sizeof *s->count, &s->count));
    SD_TRY(sd_alloc(s->size, sizeof *s->offset, &s->offset));
    for (int r = 0; r < s->size; r++) {
        s->offset[r] = (int)first_token_of(s, r);
        s->count[r]  = (int)(first_token_of(s, r + 1) - first_token_of(s, r));
    }
    s->first_chunk = (int)(s->rank * s->n_chunks / s->size);
    s->last_chunk  = (int)((s->rank + 1) * s->n_chunks / s->size);
    s->first_token = s->offset[s->rank];
    s->n_local     = s->count[s->rank];

done:
    return st;
}

static int64_t longest_sequence(const sd_ids *ids)
{
    int64_t longest = 1;

    for (int64_t q = 0; q < ids->n_sequences; q++) {
        const int64_t length = ids->first[q + 1] - ids->first[q];

        if (length > longest) longest = length;
    }
    return longest;
}

static int64_t largest_chunk(const sd_states *s)
{
    int64_t largest = 1;

    for (int64_t c = 0; c < s->n_chunks; c++) {
        const int64_t tokens = s->ids->first[s->chunk[c + 1]] - s->ids->first[s->chunk[c]];

        if (tokens > largest) largest = tokens;
    }
    return largest;
}

static sd_status allocate(sd_states *s, const sd_block *shape)
{
    sd_status st = SD_OK;

    SD_TRY(cut_chunks(s));
    SD_TRY(share_out(s));
    SD_TRY(sd_alloc(s->n_tokens, sizeof *s->initial, &s->initial));
    for (int64_t q = 0; q < s->ids->n_sequences; q++) s->initial[s->ids->first[q]] = true;
    SD_TRY(sd_alloc(s->ids->n_sequences + 1, sizeof *s->relative, &s->relative));
    SD_TRY(sd_alloc(s->n_local * s->d, sizeof *s->x, &s->x));
    SD_TRY(sd_alloc(s->n_local * s->d, sizeof *s->mid, &s->mid));
    SD_TRY(sd_alloc((s->n_layers + 1) * s->n_tokens, sizeof *s->norm, &s->norm));
    SD_TRY(sd_alloc(2 * s->n_layers * s->n_tokens, sizeof *s->divisor, &s->divisor));
    SD_TRY(sd_alloc(s->n_layers + 1, sizeof *s->kept, &s->kept));
    SD_TRY(sd_forward_create(shape, largest_chunk(s), longest_sequence(s->ids), &s->forward));

done:
    return st;
}

sd_status sd_states_create(MPI_Comm team, const sd_poll *poll, const sd_ids *ids,
                           const sd_block *shape, int64_t n_layers, sd_states **out)
{
    sd_status  st = SD_OK;
    sd_states *s  = NULL;

    *out = NULL;
    st   = sd_alloc(1, sizeof *s, &s);
    if (st == SD_OK) {
        *s = (sd_states){.team     = team,
                         .poll     = poll,
                         .ids      = ids,
                         .d        = shape->d,
                         .n_layers = n_layers,
                         .n_tokens = ids->n_tokens,
                         .n_sample = ids->n_tokens < SAMPLE ? ids->n_tokens : SAMPLE};
        MPI_Comm_rank(team, &s->rank);
        MPI_Comm_size(team, &s->size);
        MPI_Type_contiguous((int)s->d, MPI_FLOAT, &s->row);
        MPI_Type_commit(&s->row);
        st = allocate(s, shape);
    }
    SD_TRY(sd_agree(team, st));
    *out = s;
    s    = NULL;

done:
    sd_states_destroy(&s);
    return st;
}

void sd_states_destroy(sd_states **states)
{
    sd_states *s = *states;

    if (s == NULL) return;
    for (int64_t l = 0; s->kept != NULL && l <= s->n_layers; l++) {
        sd_free(s->kept[l].token);
        sd_free(s->kept[l].vector);
    }
    sd_forward_destroy(&s->forward);
    MPI_Type_free(&s->row);
    sd_free(s->kept);
    sd_free(s->divisor);
    sd_free(s->norm);
    sd_free(s->mid);
    sd_free(s->x);
    sd_free(s->relative);
    sd_free(s->offset);
    sd_free(s->count);
    sd_free(s->chunk);
    sd_free(s->initial);
    sd_free(s);
    *states = NULL;
}

/* ---- gathering rows ---- */

/*
 * Rows of `from` (this rank's tokens) that belong to the listed tokens (ascending, the same list on
 * every rank) go to `root`, in the list's order: ranks hold ascending runs of tokens.
 */
static sd_status gather_rows(const sd_states *s, const float *from, int64_t n, const int64_t *token,
                             int root, float *out)
{
    sd_status st    = SD_OK;
    int      *count = NULL, *offset = NULL;
    float    *packed = NULL;
    int64_t   first = 0, mine = 0;

    st = sd_alloc(s->size, sizeof *count, &count);
    if (st == SD_OK) st = sd_alloc(s->size, sizeof *offset, &offset);
    for (int64_t i = 0, r = 0; st == SD_OK && i < n; i++) {
        while (r + 1 < s->size && token[i] >= s->offset[r + 1]) r++;
        count[r]++;
    }
    if (st == SD_OK) {
        for (int r = 1; r < s->size; r++) offset[r] = offset[r - 1] + count[r - 1];
        first = offset[s->rank];
        mine  = count[s->rank];
        st    = sd_alloc(mine * s->d, sizeof *packed, &packed);
    }
    SD_TRY(sd_agree(s->team, st));
    for (int64_t i = 0; i < mine; i++)
        memcpy(packed + i * s->d, from + (token[first + i] - s->first_token) * s->d,
               (size_t)s->d * sizeof *packed);
    MPI_Gatherv(packed, (int)mine, s->row, out, count, offset, s->row, root, s->team);

done:
    sd_free(packed);
    sd_free(offset);
    sd_free(count);
    return st;
}

sd_status sd_states_sample(const sd_states *states, int owner, float *out)
{
    sd_status st    = SD_OK;
    int64_t  *token = NULL;

    SD_TRY(sd_agree(states->team, sd_alloc(states->n_sample, sizeof *token, &token)));
    for (int64_t i = 0; i < states->n_sample; i++)
        token[i] = i * states->n_tokens / states->n_sample;
    SD_TRY(gather_rows(states, states->mid, states->n_sample, token, owner, out));

done:
    sd_free(token);
    return st;
}

/* ---- norms and kept states ---- */

static double norm_of(int64_t d, const float *x)
{
    double sum = 0;

    for (int64_t i = 0; i < d; i++) sum += (double)x[i] * x[i];
    return sqrt(sum);
}

/* Norms of this rank's rows, made known to all: `all` has n_tokens. */
static void share_norms(const sd_states *s, const float *rows, double *all)
{
    for (int64_t t = 0; t < s->n_local; t++)
        all[s->first_token + t] = norm_of(s->d, rows + t * s->d);
    MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all, s->count, s->offset, MPI_DOUBLE,
                   s->team);
}

static sd_status check_finite(const sd_states *s, int64_t index, const double *norm)
{
    sd_status st = SD_OK;

    for (int64_t t = 0; t < s->n_tokens; t++)
        SD_REQUIRE(isfinite(norm[t]), SD_ERR_INPUT,
                   "state %" PRId64 " of token %" PRId64
                   " is not finite: the weights overflow single precision or are damaged",
                   index, t);

done:
    return st;
}

/* Tokens whose state is kept: the initial ones, and those that stand out. The same on all ranks. */
static sd_status choose_kept(const sd_states *s, const double *norm, int64_t **token, int64_t *n)
{
    sd_status st      = SD_OK;
    double   *scratch = NULL, threshold;
    int64_t   others  = 0;

    SD_TRY(sd_alloc(s->n_tokens, sizeof *scratch, &scratch));
    SD_TRY(sd_alloc(s->ids->n_sequences + SD_KEPT_OTHERS, sizeof **token, token));
    memcpy(scratch, norm, (size_t)s->n_tokens * sizeof *scratch);
    threshold = sd_high_factor * sd_median(s->n_tokens, scratch);
    *n        = 0;
    for (int64_t t = 0; t < s->n_tokens; t++) {
        const bool stands_out = norm[t] > threshold && others < SD_KEPT_OTHERS;

        if (!s->initial[t] && !stands_out) continue;
        others += !s->initial[t];
        (*token)[(*n)++] = t;
    }

done:
    sd_free(scratch);
    return st;
}

sd_status sd_states_record(sd_states *states, int64_t index)
{
    sd_states *s     = states;
    sd_status  st    = SD_OK;
    double    *norm  = s->norm + index * s->n_tokens;
    sd_kept   *kept  = &s->kept[index];
    int64_t   *token = NULL, n = 0;

    share_norms(s, s->x, norm);
    SD_TRY(check_finite(s, index, norm));
    st = choose_kept(s, norm, &token, &n);
    if (st == SD_OK && s->rank == 0) st = sd_alloc(n * s->d, sizeof *kept->vector, &kept->vector);
    SD_TRY(sd_agree(s->team, st));
    SD_TRY(gather_rows(s, s->x, n, token, 0, kept->vector));
    if (s->rank == 0) {
        kept->n     = n;
        kept->token = token;
        token       = NULL;
    }

done:
    sd_free(token);
    return st;
}

/* Of the n tokens from local row `row` on, whose chunk has just gone through the block. */
static void note_divisors(sd_states *s, const sd_block *block, int64_t layer, int64_t row,
                          int64_t n)
{
    const double  eps[2] = {block->norm1.eps, block->norm2.eps};
    const int64_t first  = s->first_token + row;
    const double *before = s->norm + layer * s->n_tokens + first;

    for (int b = 0; b < 2; b++) {
        const double *post = sd_forward_post_divisor(s->forward, b);
        double       *out  = s->divisor + (2 * layer + b) * s->n_tokens + first;

        for (int64_t t = 0; t < n; t++) {
            const double size = b == 0 ? before[t] : norm_of(s->d, s->mid + (row + t) * s->d);

            out[t] = sqrt(size * size / (double)s->d + eps[b]) * (post != NULL ? post[t] : 1);
        }
    }
}

static void share_divisors(const sd_states *s, int64_t layer)
{
    for (int b = 0; b < 2; b++)
        MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL,
                       s->divisor + (2 * layer + b) * s->n_tokens, s->count, s->offset, MPI_DOUBLE,
                       s->team);
}

sd_status sd_states_advance(sd_states *states, const sd_block *block, int64_t layer)
{
    sd_states *s  = states;
    sd_status  st = SD_OK;

    for (int c = s->first_chunk; st == SD_OK && c < s->last_chunk; c++) {
        const int64_t     *first = s->ids->first + s->chunk[c];
        const int64_t      row   = first[0] - s->first_token;
        const sd_sequences seq   = {s->chunk[c + 1] - s->chunk[c], s->relative};

        for (int64_t q = 0; q <= seq.n_sequences; q++) s->relative[q] = first[q] - first[0];
        st = sd_forward_block(s->forward, block, &seq, s->x + row * s->d, s->mid + row * s->d);
        if (st == SD_OK) note_divisors(s, block, layer, row, s->relative[seq.n_sequences]);
        if (st == SD_OK) st = sd_poll_now(s->poll);
    }
    SD_TRY(sd_agree(s->team, st));
    share_divisors(s, layer);
    SD_TRY(sd_states_record(s, layer + 1));

done:
    return st;
}

const float *sd_states_kept(const sd_states *states, int64_t index, int64_t token)
{
    const sd_kept *kept = &states->kept[index];
    int64_t        low = 0, high = kept->n;

    while (low < high) {
        const int64_t middle = low + (high - low) / 2;

        if (kept->token[middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low < kept->n && kept->token[low] == token ? kept->vector + low * states->d : NULL;
}
