/**
 * @file yaml.h
 * @brief YAML text as a tree of nodes that know their line.
 */
#ifndef SD_IO_YAML_H
#define SD_IO_YAML_H

#include <stdbool.h>
#include <stdint.h>

#include "solvers/base/status.h"

typedef enum { SD_YAML_SCALAR, SD_YAML_LIST, SD_YAML_MAP } sd_yaml_kind;

/** One node; children and strings are owned by the document. */
typedef struct sd_yaml {
    sd_yaml_kind          kind;
    int64_t               line;   /* from 1; of the key, within a map                */
    const char           *key;    /* within a map; else NULL                         */
    const char           *scalar; /* text of a scalar; "" for null                   */
    bool                  quoted; /* the scalar was quoted: it is a string           */
    int64_t               count;  /* children of a list or map                       */
    const struct sd_yaml *child;  /* `count` of them, in order                       */
} sd_yaml;

typedef struct sd_yaml_document sd_yaml_document;

/**
 * @brief Parses one document.
 *
 * Refused: anchors, aliases, tags, duplicate keys, keys that are no text, a second document, an
 * empty text, nesting deeper than 16, more than a million entries. A plain scalar that says null
 * (~, null, or nothing) has the text "".
 *
 * @param[in]  text   UTF-8, `length` bytes; borrowed until return
 * @param[in]  shown  the file's name in messages ("study.yaml:12: ..."); borrowed until return
 * @param[out] out    yours, release with sd_yaml_destroy(); NULL on failure
 *
 * Not collective. Errors: SD_ERR_USAGE with the line; SD_ERR_RESOURCE without memory.
 */
sd_status sd_yaml_parse(const char *text, int64_t length, const char *shown,
                        sd_yaml_document **out);

/** @brief Releases it; NULL is fine; sets NULL. */
void sd_yaml_destroy(sd_yaml_document **document);

/** @brief The outermost node; owned by the document. */
const sd_yaml *sd_yaml_root(const sd_yaml_document *document);

#endif
