/**
 * @file nearest.h
 * @brief The known word that a person probably meant.
 */
#ifndef SD_PIPELINE_NEAREST_H
#define SD_PIPELINE_NEAREST_H

/**
 * @brief The word of a NULL-terminated list with the smallest edit distance to `word`; NULL when
 * all are farther than half of its length.
 */
const char *sd_nearest(const char *word, const char *const *known);

/** @brief "; did you mean 'X'?" with the nearest word, or a list of what is known, in `buffer`. */
const char *sd_nearest_hint(const char *word, const char *const *known, char *buffer, int size);

#endif
