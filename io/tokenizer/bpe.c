#include "io/tokenizer/bpe.h"

#include <string.h>

#include "solvers/base/memory.h"

/* A symbol of the word, in a doubly linked list through the array; -1 ends it. */
typedef struct sd_bpe_symbol {
    int64_t previous, next;
    int32_t id; /* -1: merged into the one on its left */
} symbol;

/* A pair that a rule joins: the symbol at `at` and the next one. Stale ones are recognised late. */
typedef struct sd_bpe_candidate {
    int64_t at;
    int32_t rank, id;
} candidate;

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
    *bpe = (sd_bpe){.unknown = -1};
}

/* The rule's slot, or the empty one where it belongs. */
static sd_merge *find_merge(const sd_bpe *bpe, int32_t left, int32_t right)
{
    const uint64_t mask = (uint64_t)bpe->n_slots - 1;
    uint64_t       key  = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;

    key ^=
        key >> 32; /* ids are small and dense: a multiplication by an odd constant spreads them */
    key *= UINT64_C(0x9E3779B97F4A7C15);
    key ^= key >> 29;
    for (uint64_t at = key & mask;; at = (at + 1) & mask) {
        sd_merge *merge = &bpe->merge[at];
        if (merge->rank < 0 || (merge->left == left && merge->right == right)) return merge;
    }
}

void sd_bpe_add_merge(sd_bpe *bpe, sd_merge merge)
{
    *find_merge(bpe, merge.left, merge.right) = merge;
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

/* Puts the pair that starts at symbol `at` among the candidates if a rule joins it. */
static sd_status propose(const sd_bpe *bpe, sd_bpe_work *work, int64_t at, int64_t *count)
{
    sd_status     st   = SD_OK;
    const symbol *left = &work->symbol[at];

    if (left->next < 0) return SD_OK;
    const sd_merge *merge = find_merge(bpe, left->id, work->symbol[left->next].id);
    if (merge->rank < 0) return SD_OK;
    SD_TRY(sd_list_reserve(&work->candidate, *count, *count + 1, sizeof *work->candidate,
                           &work->candidate_capacity));
    work->candidate[*count] = (candidate){at, merge->rank, merge->id};
    sift_up(work->candidate, (*count)++);

done:
    return st;
}

static sd_status merge_symbols(const sd_bpe *bpe, sd_bpe_work *work, int64_t n_symbols)
{
    sd_status st    = SD_OK;
    int64_t   count = 0;

    for (int64_t i = 0; i + 1 < n_symbols; i++) SD_TRY(propose(bpe, work, i, &count));
    while (count > 0) {
        const candidate top = work->candidate[0];
        work->candidate[0]  = work->candidate[--count];
        if (count > 0) sift_down(work->candidate, count, 0);

        symbol *left = &work->symbol[top.at];
        if (left->id < 0 || left->next < 0) continue;
        symbol         *right = &work->symbol[left->next];
        const sd_merge *merge = find_merge(bpe, left->id, right->id);
        if (merge->rank < 0 || merge->id != top.id) continue; /* the pair has changed */

        left->id   = top.id;
        left->next = right->next;
        right->id  = -1;
        if (left->next >= 0) work->symbol[left->next].previous = top.at;
        if (left->previous >= 0) SD_TRY(propose(bpe, work, left->previous, &count));
        SD_TRY(propose(bpe, work, top.at, &count));
    }

done:
    return st;
}

static void push_symbol(sd_bpe_work *work, int32_t id, int64_t *count)
{
    const int64_t i = (*count)++;

    work->symbol[i] = (symbol){i - 1, -1, id};
    if (i > 0) work->symbol[i - 1].next = i;
}

static int64_t character_length(const char *word, int64_t at, int64_t length)
{
    int64_t n = 1;

    while (at + n < length && ((unsigned char)word[at + n] & 0xC0) == 0x80) n++;
    return n;
}

/* One symbol per character; there are at most `length`, and room for them. */
static sd_status make_symbols(const sd_bpe *bpe, const char *word, int64_t length,
                              sd_bpe_work *work, int64_t *n_symbols)
{
    sd_status st         = SD_OK;
    int64_t   count      = 0;
    bool      is_waiting = false; /* an unknown token, written when it is known not to grow */

    for (int64_t at = 0, n; at < length; at += n) {
        n                = character_length(word, at, length);
        const int32_t id = sd_vocabulary_find(&bpe->vocabulary, word + at, n);
        SD_REQUIRE(id >= 0 || !bpe->lacks_unknown, SD_ERR_INPUT,
                   "the text needs the tokeniser's unknown token, which is not in its vocabulary");
        if (id < 0 && bpe->unknown < 0) continue;
        if (is_waiting && (id >= 0 || !bpe->fuses_unknown)) push_symbol(work, bpe->unknown, &count);
        is_waiting = id < 0;
        if (id >= 0) push_symbol(work, id, &count);
    }
    if (is_waiting) push_symbol(work, bpe->unknown, &count);
    *n_symbols = count;

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
    sd_status st        = SD_OK;
    int64_t   n_symbols = 0;

    const int32_t whole =
        bpe->ignores_merges ? sd_vocabulary_find(&bpe->vocabulary, word, length) : -1;
    if (whole >= 0) return sd_bpe_push_id(work, whole);

    SD_TRY(sd_list_reserve(&work->symbol, 0, length, sizeof *work->symbol, &work->symbol_capacity));
    SD_TRY(make_symbols(bpe, word, length, work, &n_symbols));
    SD_TRY(merge_symbols(bpe, work, n_symbols));
    for (int64_t i = n_symbols > 0 ? 0 : -1; i >= 0; i = work->symbol[i].next)
        SD_TRY(sd_bpe_push_id(work, work->symbol[i].id));

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
