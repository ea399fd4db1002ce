/**
 * @file hub.h
 * @brief The local cache of the Hugging Face hub: a model, its revisions, and their snapshots.
 *
 *     models--ORG--NAME/refs/REVISION      a text file: the commit that a branch or tag is at
 *     models--ORG--NAME/snapshots/COMMIT/  the files of that commit, links into blobs/
 *     models--ORG--NAME/blobs/             their bytes; *.incomplete while they are fetched
 *
 * Training runs are published as one branch per step, so the file refs/step1000 stands for a
 * checkpoint: it has the step in its name, globs find it, and it clashes with no other path.
 *
 * Private to io/ but for the lists of revisions, which the studies use. Nothing is fetched.
 * Source: the hub's documentation, "Hub local cache".
 */
#ifndef SD_IO_HUB_H
#define SD_IO_HUB_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/status.h"

enum { SD_HUB_COMMIT = 65 }; /* characters of a commit, SHA-256 at most, with the closing zero */

/** A branch or tag. */
typedef struct {
    char *name;                  /* may have slashes: "pr/1" */
    char  commit[SD_HUB_COMMIT]; /* "" when its file is damaged */
} sd_hub_revision;

/** Revisions, ascending by name (strcmp). */
typedef struct {
    sd_hub_revision *item;
    int64_t          n;
} sd_hub_revisions;

/**
 * @brief True for a model's folder: it holds `snapshots`, and is called models--* or holds `refs`
 * or `blobs`. Errors: SD_ERR_RESOURCE.
 */
sd_status sd_hub_is_model(const char *path, bool *out);

/**
 * @brief The model's folder that a path leads into, when it is MODEL/refs/REVISION or
 * MODEL/snapshots/COMMIT; NULL for any other path.
 * @param[out] out  yours, release with sd_free()
 * Errors: SD_ERR_RESOURCE.
 */
sd_status sd_hub_model_of(const char *path, char **out);

/**
 * @brief Lists a model's revisions; none when there is no folder `refs`.
 * @param[out] out  release with sd_hub_release(), also after a failure
 * Errors: SD_ERR_INPUT for a folder that cannot be read, or of more than a million names;
 * SD_ERR_RESOURCE.
 */
sd_status sd_hub_list(const char *model, sd_hub_revisions *out);

/** @brief Releases what a list holds. */
void sd_hub_release(sd_hub_revisions *list);

/**
 * @brief Gives the snapshot's folder behind a path.
 *
 * A revision's file gives its snapshot; a model's folder that of its revision main, else its only
 * one. Any other path, also one where nothing is, gives NULL: it means itself.
 *
 * @param[out] out  yours, release with sd_free(); or NULL
 * Not collective. Errors: SD_ERR_INPUT for a revision whose snapshot is not there, and for several
 * snapshots without a main one (with the revisions to choose from); SD_ERR_RESOURCE.
 */
sd_status sd_hub_resolve(const char *path, char **out);

/**
 * @brief Whether a download into this folder (a snapshot, or a plain folder of the hub's tools) was
 * begun and not finished. Errors: SD_ERR_RESOURCE.
 */
sd_status sd_hub_is_unfinished(const char *folder, bool *out);

#endif
