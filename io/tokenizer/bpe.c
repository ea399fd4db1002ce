#include "io/tokenizer/bpe.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "solvers/base/memory.h"

enum { MERGED = -1, NO_TOKEN = -2 };

/* A symbol of the word, in a doubly linked list through the array; -1 ends it. */
typedef struct sd_bpe_symbol {
    int64_t previous, next;
    int64_t start; /* its first byte in the word */
    int32_t id;    /* MERGED: into the one on its left; NO_TOKEN: a character that is none */
} symbol;

/* A pair that can be joined: the symbol at `at` and the next one. Stale ones are recognised late.
 */
typedef struct sd_bpe_candidate {
    int64_t at;
    int32_t rank, id;
} candidate;

static const char lacks_unknown[] =
    "the text needs the tokeniser's unknown token, which is not in its vocabulary";

sd_status sd_bpe_init(sd_bpe *bpe, int64_t n_merges)
{
    sd_status st = SD_OK;

    *bpe = (sd_bpe){.unknown = -1, .n_slots = 16};
    while (bpe->n_slots < 2 * n_merges) bpe->n_slots *= 2;
    SD_TRY(sd_vocabulary_init(&bpe->vocabulary));
    SD_TRY(sd_alloc(bpe->n_slots, sizeof *bpe->merge, &bpe->merge));
    for (int64_t i = 0; i < bpe->n_slots; i++) bpe->merge[i].rank = -1;

done:
    return st;
}

void sd_bpe_clear(sd_bpe *bpe)
{
    sd_vocabulary_clear(&bpe->vocabulary);
    sd_free(bpe->merge);
    sd_free(bpe->rank);
    *bpe = (sd_bpe){.unknown = -1};
}

/* The rule's slot, or the empty one where it belongs. */
static sd_merge *find_merge(const sd_bpe *bpe, int32_t left, int32_t right)
{
    const uint64_t mask = (uint64_t)bpe->n_slots - 1;
    const uint64_t key  = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    const uint64_t hash = XXH3_64bits_withSeed(&key, sizeof key, bpe->vocabulary.seed);

    for (uint64_t at = hash & mask;; at = (at + 1) & mask) {
        sd_merge *merge = &bpe->merge[at];
        if (merge->rank < 0 || (merge->left == left && merge->right == right)) return merge;
    }
}

void sd_bpe_add_merge(sd_bpe *bpe, sd_merge merge)
{
    *find_merge(bpe, merge.left, merge.right) = merge;
}

/* ---- ranks ---- */

typedef struct {
    float   score;
    int32_t id;
} scored;

static int by_score(const void *a, const void *b)
{
    const float left = ((const scored *)a)->score, right = ((const scored *)b)->score;

    return (left < right) - (left > right);
}

sd_status sd_bpe_rank(sd_bpe *bpe, const float *score, int64_t n_tokens)
{
    sd_status st    = SD_OK;
    scored   *order = NULL;

    SD_TRY(sd_alloc(n_tokens, sizeof *order, &order));
    SD_TRY(sd_alloc(n_tokens, sizeof *bpe->rank, &bpe->rank));
    for (int64_t i = 0; i < n_tokens; i++) order[i] = (scored){score[i], (int32_t)i};
    qsort(order, (size_t)n_tokens, sizeof *order, by_score);
    for (int64_t i = 1; i < n_tokens; i++)
        bpe->rank[order[i].id] =
            bpe->rank[order[i - 1].id] + (order[i].score < order[i - 1].score ? 1 : 0);

done:
    sd_free(order);
    return st;
}

/* ---- the heap of candidates: lowest rank, then leftmost, at the top ---- */

static bool is_before(const candidate *a, const candidate *b)
{
    return a->rank < b->rank || (a->rank == b->rank && a->at < b->at);
}

static void sift_up(candidate *heap, int64_t i)
{
    const candidate held = heap[i];

    for (int64_t up; i > 0 && is_before(&held, &heap[up = (i - 1) / 2]); i = up) heap[i] = heap[up];
    heap[i] = held;
}

static void sift_down(candidate *heap, int64_t count, int64_t i)
{
    const candidate held = heap[i];

    for (int64_t down = 2 * i + 1; down < count; down = 2 * i + 1) {
        if (down + 1 < count && is_before(&heap[down + 1], &heap[down])) down++;
        if (!is_before(&heap[down], &held)) break;
        heap[i] = heap[down];
        i       = down;
    }
    heap[i] = held;
}

/* ---- joining ---- */

/* A word on its way to ids. */
typedef struct {
    const sd_bpe *bpe;
    sd_bpe_work  *work;
    const char   *word;
    int64_t       length, n_symbols, n_candidates;
} encoder;

static int64_t stop_of(const encoder *e, const symbol *s)
{
    return s->next < 0 ? e->length : e->work->symbol[s->next].start;
}

/* What the pair that starts at symbol `at` makes; false: nothing. */
static bool find_join(const encoder *e, int64_t at, candidate *out)
{
    const symbol *left = &e->work->symbol[at];

    if (left->next < 0) return false;
    const symbol *right = &e->work->symbol[left->next];
    if (e->bpe->rank == NULL) {
        const sd_merge *merge = find_merge(e->bpe, left->id, right->id);
        *out                  = (candidate){at, merge->rank, merge->id};
        return merge->rank >= 0;
    }
    const int32_t id = sd_vocabulary_find(&e->bpe->vocabulary, e->word + left->start,
                                          stop_of(e, right) - left->start);
    if (id >= 0) *out = (candidate){at, e->bpe->rank[id], id};
    return id >= 0;
}

/* Puts the pair that starts at symbol `at` among the candidates if it can be joined. */
static sd_status propose(encoder *e, int64_t at)
{
    sd_status    st   = SD_OK;
    sd_bpe_work *work = e->work;
    candidate    found;

    if (!find_join(e, at, &found)) return SD_OK;
    SD_TRY(sd_list_reserve(&work->candidate, e->n_candidates, e->n_candidates + 1,
                           sizeof *work->candidate, &work->candidate_capacity));
    work->candidate[e->n_candidates] = found;
    sift_up(work->candidate, e->n_candidates++);

done:
    return st;
}

static sd_status merge_symbols(encoder *e)
{
    sd_status    st   = SD_OK;
    sd_bpe_work *work = e->work;
    candidate    now;

    for (int64_t i = 0; i + 1 < e->n_symbols; i++) SD_TRY(propose(e, i));
    while (e->n_candidates > 0) {
        const candidate top = work->candidate[0];
        work->candidate[0]  = work->candidate[--e->n_candidates];
        if (e->n_candidates > 0) sift_down(work->candidate, e->n_candidates, 0);

        symbol *left = &work->symbol[top.at];
        if (left->id == MERGED || !find_join(e, top.at, &now) || now.id != top.id)
            continue; /* the pair has changed */

        symbol *right = &work->symbol[left->next];
        left->id      = top.id;
        left->next    = right->next;
        right->id     = MERGED;
        if (left->next >= 0) work->symbol[left->next].previous = top.at;
        if (left->previous >= 0) SD_TRY(propose(e, left->previous));
        SD_TRY(propose(e, top.at));
    }

done:
    return st;
}

/* ---- the first symbols, and the last ---- */

static void push_symbol(encoder *e, int32_t id, int64_t start)
{
    symbol       *all = e->work->symbol;
    const int64_t i   = e->n_symbols++;

    all[i] = (symbol){i - 1, -1, start, id};
    if (i > 0) all[i - 1].next = i;
}

static int64_t character_length(const char *word, int64_t at, int64_t length)
{
    int64_t n = 1;

    while (at + n < length && ((unsigned char)word[at + n] & 0xC0) == 0x80) n++;
    return n;
}

/* One symbol per character; there are at most `length`, and room for them. */
static sd_status make_symbols(encoder *e)
{
    sd_status     st         = SD_OK;
    const sd_bpe *bpe        = e->bpe;
    bool          is_waiting = false; /* an unknown token, written when known not to grow */

    for (int64_t at = 0, n; at < e->length; at += n) {
        n                = character_length(e->word, at, e->length);
        const int32_t id = sd_vocabulary_find(&bpe->vocabulary, e->word + at, n);
        if (bpe->rank != NULL) {
            push_symbol(e, id >= 0 ? id : NO_TOKEN, at);
            continue;
        }
        SD_REQUIRE(id >= 0 || !bpe->lacks_unknown, SD_ERR_INPUT, "%s", lacks_unknown);
        if (id < 0 && bpe->unknown < 0) continue;
        if (is_waiting && (id >= 0 || !bpe->fuses_unknown)) push_symbol(e, bpe->unknown, at);
        is_waiting = id < 0;
        if (id >= 0) push_symbol(e, id, at);
    }
    if (is_waiting) push_symbol(e, bpe->unknown, e->length);

done:
    return st;
}

/* A character that is no token: its bytes, or the unknown token unless that stands there already.
 */
static sd_status push_unknown(const encoder *e, const symbol *s, bool is_behind_another)
{
    sd_status     st  = SD_OK;
    const sd_bpe *bpe = e->bpe;

    SD_REQUIRE(bpe->has_bytes || bpe->unknown >= 0, SD_ERR_INPUT, "%s", lacks_unknown);
    if (!bpe->has_bytes) return is_behind_another ? SD_OK : sd_bpe_push_id(e->work, bpe->unknown);
    for (int64_t at = s->start; at < stop_of(e, s); at++)
        SD_TRY(sd_bpe_push_id(e->work, bpe->byte[(unsigned char)e->word[at]]));

done:
    return st;
}

static sd_status push_symbols(const encoder *e)
{
    sd_status st                = SD_OK;
    bool      is_behind_unknown = false;

    for (int64_t i = e->n_symbols > 0 ? 0 : -1; i >= 0; i = e->work->symbol[i].next) {
        const symbol *s = &e->work->symbol[i];
        if (s->id == NO_TOKEN)
            SD_TRY(push_unknown(e, s, is_behind_unknown));
        else
            SD_TRY(sd_bpe_push_id(e->work, s->id));
        is_behind_unknown = s->id == NO_TOKEN;
    }

done:
    return st;
}

sd_status sd_bpe_push_id(sd_bpe_work *work, int32_t id)
{
    sd_status st = SD_OK;

    SD_TRY(sd_list_reserve(&work->id, work->count, work->count + 1, sizeof *work->id,
                           &work->capacity));
    work->id[work->count++] = id;

done:
    return st;
}

sd_status sd_bpe_encode(const sd_bpe *bpe, const char *word, int64_t length, sd_bpe_work *work)
{
    sd_status st = SD_OK;
    encoder   e  = {.bpe = bpe, .work = work, .word = word, .length = length};

    const int32_t whole =
        bpe->ignores_merges ? sd_vocabulary_find(&bpe->vocabulary, word, length) : -1;
    if (whole >= 0) return sd_bpe_push_id(work, whole);

    SD_TRY(sd_list_reserve(&work->symbol, 0, length, sizeof *work->symbol, &work->symbol_capacity));
    SD_TRY(make_symbols(&e));
    SD_TRY(merge_symbols(&e));
    SD_TRY(push_symbols(&e));

done:
    return st;
}

void sd_bpe_work_clear(sd_bpe_work *work)
{
    sd_free(work->id);
    sd_free(work->symbol);
    sd_free(work->candidate);
    *work = (sd_bpe_work){0};
}
