/**
 * @file states.h
 * @brief The states of all tokens, spread over a team: taken through the layers one after the
 * other.
 *
 * Sequences are cut into fixed chunks that do not depend on the number of ranks; each rank holds
 * the states of a run of chunks. Norms of every token in every state are known on every rank. Whole
 * states are kept only of tokens that matter, and only on the team's leader: of initial tokens in
 * every state, of the first SD_KEPT_OTHERS others where their norm stands out (solvers/phases.h).
 */
#ifndef SD_PIPELINE_STATES_H
#define SD_PIPELINE_STATES_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/text.h"
#include "solvers/base/poll.h"
#include "solvers/block.h"
#include "solvers/forward/forward.h"

/* Tokens other than the initial ones whose state is kept, of one state index: bounds the leader's
 * memory. The first in token order stand for all. */
enum { SD_KEPT_OTHERS = 1024 };

/** States kept of one state index, on the leader: ascending tokens. */
typedef struct {
    int64_t  n;
    int64_t *token;  /* n        */
    float   *vector; /* n x d    */
} sd_kept;

typedef struct {
    MPI_Comm       team; /* borrowed                                              */
    int            rank, size;
    const sd_poll *poll; /* borrowed                                              */
    const sd_ids  *ids;  /* borrowed                                              */
    int64_t        d, n_layers, n_tokens;
    bool          *initial; /* n_tokens                                              */

    int64_t  n_chunks;
    int64_t *chunk;                   /* n_chunks + 1: first sequence of each                  */
    int      first_chunk, last_chunk; /* this rank's: [first, last)                            */
    int64_t  first_token, n_local;    /* this rank's tokens                                    */
    int     *count, *offset;          /* tokens of each rank, for MPI                          */
    float   *x, *mid;                 /* n_local x d: the state, and the one the FFN's norm sees */

    double  *norm;    /* (n_layers + 1) x n_tokens                             */
    double  *divisor; /* n_layers x 2 x n_tokens: what the norms of each branch divide by */
    sd_kept *kept;    /* n_layers + 1; filled on the leader                    */

    int64_t     *relative; /* scratch: offsets of one chunk's sequences              */
    int64_t      n_sample; /* tokens whose `mid` goes to the layer's owner          */
    sd_forward  *forward;
    MPI_Datatype row; /* d floats                                              */
} sd_states;

/**
 * @brief Lays the sequences out over the team, in chunks of 1024 tokens or of one longer sequence.
 *
 * The states themselves, `x`, are the caller's to fill: n_local rows, of the tokens from
 * first_token on.
 *
 * @param[in]  team      borrowed for the states' life, as are `poll` (may be NULL) and `ids`
 * @param[in]  ids       (same) no sequence is empty
 * @param[in]  shape     (same) a block of which only sizes are read
 * @param[in]  n_layers  (same) N
 * @param[out] out       yours, release with sd_states_destroy(); NULL on failure
 *
 * Collective on `team`. Holds per rank 8 bytes for each of n_local d and (3 N + 1) n_tokens, and
 * the forward pass's scratch for its largest chunk.
 * Errors: SD_ERR_RESOURCE; SD_ERR_INPUT for more than 2^31 - 1 tokens.
 */
sd_status sd_states_create(MPI_Comm team, const sd_poll *poll, const sd_ids *ids,
                           const sd_block *shape, int64_t n_layers, sd_states **out);
/** @brief Releases them; NULL is fine; sets NULL. Not collective. */
void sd_states_destroy(sd_states **states);

/**
 * @brief Takes note of state `index` from `x`: norms, and the states that are kept.
 *
 * @param[in] index  (same) 0 ... N; each once
 *
 * Collective on the team. Cost: one allgather of the norms, one gather of the kept states.
 * Errors: SD_ERR_INPUT when a state is not finite, with the first token, the same on every rank;
 * SD_ERR_RESOURCE.
 */
sd_status sd_states_record(sd_states *states, int64_t index);

/**
 * @brief Takes the states through a layer and records the state behind it.
 *
 * The divisor of a branch is that of its norm; with a post-norm the product of both, as the branch
 * is a function of the state: diag(post gamma) M diag(gamma) x / divisor.
 *
 * Chunks do not depend on the number of ranks, so neither do the bits (tests/ranks/test_states.c).
 *
 * @param[in] block  (same) the layer's weights; borrowed until return
 * @param[in] layer  (same) from 0
 *
 * Collective on the team. The poll is called after each chunk.
 * Errors: as sd_states_record(); SD_INTERRUPTED from the poll of any rank.
 */
sd_status sd_states_advance(sd_states *states, const sd_block *block, int64_t layer);

/**
 * @brief Sends `mid` of n_sample tokens, evenly spread over all, to one rank.
 * @param[in]  owner  (same)
 * @param[out] out    n_sample x d on `owner`; ignored elsewhere
 * Collective on the team. Errors: SD_ERR_RESOURCE.
 */
sd_status sd_states_sample(const sd_states *states, int owner, float *out);

/** @brief The kept vector of a token in a state, d floats owned by the states; NULL when it was not
 * kept, and on all ranks but the leader. Not collective. */
const float *sd_states_kept(const sd_states *states, int64_t index, int64_t token);

#endif
