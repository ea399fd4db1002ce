/**
 * @file token_cache.h
 * @brief The token ids that a checkpoint is measured on.
 */
#ifndef SD_PIPELINE_TOKEN_CACHE_H
#define SD_PIPELINE_TOKEN_CACHE_H

#include "io/checkpoint.h"
#include "io/text.h"
#include "pipeline/measure.h"

/**
 * @brief Ids of the study's text for one checkpoint, cut into sequences.
 *
 * Tokeniser: the run's, else the study's, else the checkpoint's own, else its parent folder's, else
 * likewise of an adapter's base. A checkpoint's own is the one inside the file of weights where
 * there is one, else the tokenizer.json beside it. With ready ids none is looked for.
 *
 * @param[in]  checkpoint  the job's, open; borrowed until return
 * @param[in]  bos  the model's BOS id, or -1
 * @param[out] out  yours, release with sd_ids_destroy(); the same on every rank
 * Collective on job->team. Errors: SD_ERR_INPUT for the text or the tokeniser.
 */
sd_status sd_token_ids(sd_token_cache *cache, const sd_measure_job *job,
                       const sd_checkpoint *checkpoint, int64_t bos, sd_ids **out);

#endif
