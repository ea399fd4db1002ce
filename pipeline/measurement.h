/**
 * @file measurement.h
 * @brief One checkpoint while it is measured: what the parts of measure.h share.
 *
 * Private to measure.c, identity.c and readings.c. All functions are collective on the job's team
 * and return the same status on every rank.
 */
#ifndef SD_PIPELINE_MEASUREMENT_H
#define SD_PIPELINE_MEASUREMENT_H

#include "io/fingerprint.h"
#include "pipeline/load_block.h"
#include "pipeline/measure.h"
#include "pipeline/phenomenon.h"
#include "pipeline/states.h"
#include "solvers/dist/grid.h"

/** Everything about the checkpoint in hand. */
typedef struct {
    const sd_measure_job *job;
    int                   rank, size;
    sd_checkpoint        *checkpoint;
    const sd_family      *family;
    sd_model              model;
    sd_ids               *ids;
    char (*digest)[SD_XXH128_HEX]; /* per tensor; "" until it is hashed           */
    char           fingerprint[SD_FINGERPRINT_LEN];
    char           key[SD_SHA256_HEX];
    sd_unit       *unit; /* complete on the leader; elsewhere the own layers */
    sd_states     *states;
    sd_phenomenon *phenomenon;
    sd_grid       *grid; /* when a stage wants it                       */
    /* The layer that this rank owns in the current round. */
    int64_t          layer; /* -1: none */
    sd_loaded_block *loaded;
    float           *sample;
} sd_measurement;

/* ---- identity.c ---- */

/**
 * @brief Hashes the tensors that were not hashed while they streamed by, and makes the fingerprint.
 * Errors: SD_ERR_INPUT for a number that is not finite, of the first such tensor; SD_INTERRUPTED.
 */
sd_status sd_identity_complete(sd_measurement *m);

/** @brief Hash of what determines the numbers beside the checkpoint's bytes: settings, config, ids.
 */
sd_status sd_identity_key(sd_measurement *m);

/**
 * @brief Whether the unit on disk was made from this checkpoint with these settings.
 * Anything wrong with that file means no: it is computed again. Reads the checkpoint once when the
 * settings are the same.
 */
sd_status sd_identity_unit_is_current(sd_measurement *m, bool *current);

/* ---- readings.c ---- */

/** @brief States through all layers, every stage's first part, fingerprint and phenomenon. */
sd_status sd_reading_first(sd_measurement *m);

/** @brief Every stage's second part, with the directions; nothing when there is no phase. */
sd_status sd_reading_second(sd_measurement *m);

/** @brief The leader collects from each layer's owner the entries of variables that go by layers.
 */
void sd_reading_collect(sd_measurement *m);

#endif
