/**
 * @file changed_config.h
 * @brief A good config with one thing changed, read by the family that it selects.
 */
#ifndef SD_TESTS_SUPPORT_CHANGED_CONFIG_H
#define SD_TESTS_SUPPORT_CHANGED_CONFIG_H

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/models/family.h"
#include "tests/support/check.h"

static inline sd_status config_text(const char *text, sd_model *out)
{
    sd_status        st     = SD_OK;
    sd_config       *config = NULL;
    const sd_family *family = NULL;

    sd_clear();
    SD_TRY(sd_config_parse(text, (int64_t)strlen(text), "config.json", &config));
    SD_TRY(sd_family_find(config, &family));
    SD_TRY(family->read_config(config, out));

done:
    sd_config_destroy(&config);
    return st;
}

/** Reads a good config with the members of `change` put over it; null takes a key out. */
static inline sd_status config_changed(const char *base, const char *change, sd_model *out)
{
    json_t *config = json_loads(base, 0, NULL), *over = json_loads(change, 0, NULL);

    CHECK(config != NULL && over != NULL);
    json_object_update(config, over);

    char           *text = json_dumps(config, 0);
    const sd_status st   = config_text(text, out);
    free(text);
    json_decref(config);
    json_decref(over);
    return st;
}

#endif
