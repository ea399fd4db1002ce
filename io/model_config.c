#include "io/model_config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/json.h"
#include "solvers/base/memory.h"

enum {
    MOST_BYTES = 16 << 20, /* of a config: the longest known ones have some thousands */
    MOST_STEP  = 128       /* bytes of one step of a dotted path */
};

struct sd_config {
    char   *shown;
    json_t *root;
};

static sd_status adopt(const char *shown, json_t **root, sd_config **out)
{
    sd_status  st     = SD_OK;
    sd_config *config = NULL;

    SD_TRY(sd_alloc(1, sizeof *config, &config));
    SD_TRY(sd_copy_string(shown, &config->shown));
    config->root = *root;
    *root        = NULL;
    *out         = config;
    config       = NULL;

done:
    sd_config_destroy(&config);
    return st;
}

sd_status sd_config_read(const char *path, const char *shown, sd_config **out)
{
    sd_status st   = SD_OK;
    json_t   *root = NULL;

    *out = NULL;
    SD_TRY(sd_json_read(path, shown, MOST_BYTES, &root));
    SD_TRY(adopt(shown, &root, out));

done:
    json_decref(root);
    return st;
}

sd_status sd_config_parse(const char *text, int64_t length, const char *shown, sd_config **out)
{
    sd_status st   = SD_OK;
    json_t   *root = NULL;

    *out = NULL;
    SD_TRY(sd_json_parse(text, length, length, shown, &root));
    SD_TRY(adopt(shown, &root, out));

done:
    json_decref(root);
    return st;
}

void sd_config_destroy(sd_config **config)
{
    if (*config == NULL) return;
    json_decref((*config)->root);
    sd_free((*config)->shown);
    sd_free(*config);
    *config = NULL;
}

/* One step down: a member of an object, or an element of an array by its number. */
static const json_t *step_into(const json_t *node, const char *step)
{
    if (json_is_object(node)) return json_object_get(node, step);
    if (json_is_array(node) && step[0] >= '0' && step[0] <= '9')
        return json_array_get(node, (size_t)strtoul(step, NULL, 10));
    return NULL;
}

/* The value at a dotted path; NULL when it is absent or null. */
static const json_t *find(const sd_config *config, const char *key)
{
    const json_t *node = config->root;

    while (node != NULL) {
        char         step[MOST_STEP];
        const size_t length = strcspn(key, ".");

        if (length >= sizeof step) return NULL;
        memcpy(step, key, length);
        step[length] = '\0';
        node         = step_into(node, step);
        if (key[length] == '\0') break;
        key += length + 1;
    }
    return json_is_null(node) ? NULL : node;
}

bool sd_config_has(const sd_config *config, const char *key)
{
    return find(config, key) != NULL;
}

sd_status sd_config_need(const sd_config *config, const char *key)
{
    sd_status st = SD_OK;

    SD_REQUIRE(sd_config_has(config, key), SD_ERR_INPUT, "%s: has no '%s'", config->shown, key);

done:
    return st;
}

sd_status sd_config_int(const sd_config *config, const char *key, int64_t least, int64_t most,
                        int64_t *value)
{
    sd_status     st   = SD_OK;
    const json_t *node = find(config, key);
    char          is[SD_JSON_SHOWN];

    if (node == NULL) return SD_OK;
    sd_json_show(node, is);
    SD_REQUIRE(json_is_integer(node) && json_integer_value(node) >= least &&
                   json_integer_value(node) <= most,
               SD_ERR_INPUT, "%s: '%s' is %s, want an integer in [%" PRId64 ", %" PRId64 "]",
               config->shown, key, is, least, most);
    *value = (int64_t)json_integer_value(node);

done:
    return st;
}

sd_status sd_config_real(const sd_config *config, const char *key, double least, double most,
                         double *value)
{
    sd_status     st   = SD_OK;
    const json_t *node = find(config, key);
    char          is[SD_JSON_SHOWN];

    if (node == NULL) return SD_OK;
    sd_json_show(node, is);
    SD_REQUIRE(json_is_number(node) && json_number_value(node) >= least &&
                   json_number_value(node) <= most,
               SD_ERR_INPUT, "%s: '%s' is %s, want a number in [%g, %g]", config->shown, key, is,
               least, most);
    *value = json_number_value(node);

done:
    return st;
}

sd_status sd_config_bool(const sd_config *config, const char *key, bool *value)
{
    sd_status     st   = SD_OK;
    const json_t *node = find(config, key);
    char          is[SD_JSON_SHOWN];

    if (node == NULL) return SD_OK;
    sd_json_show(node, is);
    SD_REQUIRE(json_is_boolean(node), SD_ERR_INPUT, "%s: '%s' is %s, want true or false",
               config->shown, key, is);
    *value = json_is_true(node);

done:
    return st;
}

sd_status sd_config_string(const sd_config *config, const char *key, const char **value)
{
    sd_status     st   = SD_OK;
    const json_t *node = find(config, key);
    char          is[SD_JSON_SHOWN];

    if (node == NULL) return SD_OK;
    sd_json_show(node, is);
    SD_REQUIRE(json_is_string(node), SD_ERR_INPUT, "%s: '%s' is %s, want a string", config->shown,
               key, is);
    *value = json_string_value(node);

done:
    return st;
}

sd_status sd_config_string_at(const sd_config *config, const char *key, int64_t i,
                              const char **value)
{
    sd_status     st   = SD_OK;
    const json_t *node = find(config, key);
    char          is[SD_JSON_SHOWN];

    *value = NULL;
    if (node == NULL) return SD_OK;
    sd_json_show(node, is);
    SD_REQUIRE(json_is_array(node), SD_ERR_INPUT, "%s: '%s' is %s, want an array of strings",
               config->shown, key, is);
    node = json_array_get(node, (size_t)i);
    if (node == NULL) return SD_OK;
    sd_json_show(node, is);
    SD_REQUIRE(json_is_string(node), SD_ERR_INPUT,
               "%s: entry %" PRId64 " of '%s' is %s, want a string", config->shown, i, key, is);
    *value = json_string_value(node);

done:
    return st;
}

sd_status sd_config_object(const sd_config *config, const char *key)
{
    sd_status     st   = SD_OK;
    const json_t *node = find(config, key);
    char          is[SD_JSON_SHOWN];

    if (node == NULL) return SD_OK;
    sd_json_show(node, is);
    SD_REQUIRE(json_is_object(node), SD_ERR_INPUT, "%s: '%s' is %s, want an object", config->shown,
               key, is);

done:
    return st;
}

const char *sd_config_shown(const sd_config *config)
{
    return config->shown;
}

int64_t sd_config_count(const sd_config *config)
{
    return (int64_t)json_object_size(config->root);
}

const char *sd_config_key(const sd_config *config, int64_t i)
{
    void *it = json_object_iter(config->root);

    for (; i > 0 && it != NULL; i--) it = json_object_iter_next(config->root, it);
    return it != NULL ? json_object_iter_key(it) : NULL;
}
