#include "io/adapter_config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "io/hub.h"
#include "io/json.h"
#include "io/tokenizer/pattern.h"
#include "solvers/base/memory.h"

static const char NAME[] = "adapter_config.json";

enum {
    MOST_BYTES = 16 << 20,
    MOST_RULES = 4096 /* of a kind: each is compiled, and tried on every module */
};

/* A pattern of module names, and what it sets. */
typedef struct {
    sd_pattern *pattern;
    double      value;
} rule;

typedef struct {
    rule   *rule;
    int64_t n;
} rules;

struct sd_adapter_config {
    json_t *root;
    int64_t rank;
    double  alpha;
    bool    rank_stabilized, transposed;
    rules   ranks, alphas;
};

/* ---- keys ---- */

/* Read here; or about training, about finding the modules (the tensors that are there tell), or
 * about the program. */
static const char *const known[] = {
    "peft_type",
    "base_model_name_or_path",
    "revision",
    "r",
    "lora_alpha",
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
    "fan_in_fan_out",
    "lora_bias",
    "bias",
    "init_lora_weights",
    "modules_to_save",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "lora_dropout",
    "inference_mode",
    "task_type",
    "auto_mapping",
    "peft_version",
    "megatron_core",
    "qalora_group_size",
    "runtime_config",
    "ensure_weight_tying",
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
    "velora_config",
};

static bool is_known(const char *key)
{
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (strcmp(known[k], key) == 0) return true;
    return false;
}

static bool is_unset(const json_t *value)
{
    return json_is_null(value) || json_is_false(value) ||
           (json_is_object(value) && json_object_size(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

static sd_status check_type(json_t *root)
{
    sd_status     st   = SD_OK;
    const json_t *type = json_object_get(root, "peft_type");
    char          is[SD_JSON_SHOWN];

    SD_REQUIRE(type != NULL, SD_ERR_INPUT, "%s: has no 'peft_type'", NAME);
    sd_json_show(type, is);
    SD_REQUIRE(json_is_string(type) && strcmp(json_string_value(type), "LORA") == 0, SD_ERR_INPUT,
               "%s: 'peft_type' is %s, which is not supported, want \"LORA\"; merge it into its "
               "base by PEFT, if it can be",
               NAME, is);

done:
    return st;
}

static sd_status check_keys(json_t *root)
{
    sd_status     st = SD_OK;
    const char   *key;
    const json_t *value;

    json_object_foreach(root, key, value)
    {
        SD_REQUIRE(is_known(key) || is_unset(value), SD_ERR_INPUT,
                   "%s: '%s' changes the adapter's effect and is not supported; merge it into its "
                   "base by PEFT, if it can be",
                   NAME, key);
    }

done:
    return st;
}

/* Ways to begin the training that leave the base as it is; the others change it, and the factors
 * then belong to a base that is stored nowhere. */
static sd_status check_start(json_t *root)
{
    static const char *const neutral[] = {"gaussian", "eva", "orthogonal"};
    sd_status                st        = SD_OK;
    const json_t            *start     = json_object_get(root, "init_lora_weights");
    bool is_fine = start == NULL || json_is_null(start) || json_is_boolean(start);
    char is[SD_JSON_SHOWN];

    for (int k = 0; k < 3 && json_is_string(start); k++)
        is_fine |= strcmp(json_string_value(start), neutral[k]) == 0;
    if (!is_fine) sd_json_show(start, is);
    SD_REQUIRE(is_fine, SD_ERR_INPUT,
               "%s: 'init_lora_weights' is %s, which changes the base itself; convert the adapter "
               "by PEFT: save_pretrained(OUT, path_initial_model_for_weight_conversion=...)",
               NAME, is);

done:
    return st;
}

static sd_status read_flag(json_t *root, const char *key, bool *out)
{
    sd_status     st    = SD_OK;
    const json_t *value = json_object_get(root, key);
    char          is[SD_JSON_SHOWN];

    *out = false;
    if (value == NULL || json_is_null(value)) return SD_OK;
    sd_json_show(value, is);
    SD_REQUIRE(json_is_boolean(value), SD_ERR_INPUT, "%s: '%s' is %s, want true or false", NAME,
               key, is);
    *out = json_is_true(value);

done:
    return st;
}

/* A rank or an alpha. */
static sd_status check_number(const char *key, const json_t *value, bool is_rank, double *out)
{
    sd_status st = SD_OK;
    char      is[SD_JSON_SHOWN];

    sd_json_show(value, is);
    *out = json_number_value(value); /* 0 for what is no number */
    SD_REQUIRE(is_rank ? json_is_integer(value) && *out >= 1 && *out <= 1 << 16
                       : json_is_number(value) && fabs(*out) <= 1e9,
               SD_ERR_INPUT, "%s: '%s' is %s, want %s", NAME, key, is,
               is_rank ? "a whole number in [1, 65536]" : "a number in [-1e9, 1e9]");

done:
    return st;
}

static sd_status read_number(json_t *root, const char *key, bool is_rank, double *out)
{
    sd_status     st    = SD_OK;
    const json_t *value = json_object_get(root, key);

    SD_REQUIRE(value != NULL, SD_ERR_INPUT, "%s: has no '%s'", NAME, key);
    SD_TRY(check_number(key, value, is_rank, out));

done:
    return st;
}

/* ---- patterns ---- */

/* The module's name ends in what the pattern matches, which begins behind a dot or with the name.
 */
static sd_status make_rule(const char *pattern, rule *out)
{
    sd_status    st    = SD_OK;
    const size_t bytes = strlen(pattern) + sizeof "^(?:.*\\.)?(?:)$";
    char        *whole = NULL;

    SD_TRY(sd_alloc((int64_t)bytes, 1, &whole));
    snprintf(whole, bytes, "^(?:.*\\.)?(?:%s)$", pattern);
    SD_TRY(sd_pattern_create(NAME, whole, (int64_t)strlen(whole), false, &out->pattern));

done:
    sd_free(whole);
    return st;
}

static sd_status read_rules(json_t *root, const char *key, bool is_rank, rules *out)
{
    sd_status     st  = SD_OK;
    json_t       *map = json_object_get(root, key);
    const char   *pattern;
    const json_t *value;

    if (map == NULL || is_unset(map)) return SD_OK;
    SD_REQUIRE(json_is_object(map), SD_ERR_INPUT, "%s: '%s' is no object", NAME, key);
    SD_REQUIRE(
        json_object_size(map) <= MOST_RULES, SD_ERR_INPUT,
        "%s: '%s' has %zu patterns, want at most %d; merge the adapter into its base by PEFT", NAME,
        key, json_object_size(map), MOST_RULES);
    SD_TRY(sd_alloc((int64_t)json_object_size(map), sizeof *out->rule, &out->rule));
    json_object_foreach(map, pattern, value)
    {
        rule *r = &out->rule[out->n];

        SD_TRY(check_number(pattern, value, is_rank, &r->value));
        SD_TRY(make_rule(pattern, r));
        out->n++;
    }

done:
    return st;
}

static void release_rules(rules *all)
{
    for (int64_t i = 0; i < all->n; i++) sd_pattern_destroy(&all->rule[i].pattern);
    sd_free(all->rule);
}

/* The first rule that matches decides; *value stays as it is without one. */
static sd_status apply(const rules *all, const char *module, int64_t length, double *value)
{
    sd_status st    = SD_OK;
    bool      found = false;

    for (int64_t i = 0; i < all->n && !found; i++) {
        SD_TRY(sd_pattern_finds(all->rule[i].pattern, module, length, &found));
        if (found) *value = all->rule[i].value;
    }

done:
    return st;
}

/* ---- the whole ---- */

static sd_status read_keys(sd_adapter_config *c)
{
    sd_status st = SD_OK;
    double    rank;

    SD_TRY(check_type(c->root));
    SD_TRY(check_keys(c->root));
    SD_TRY(check_start(c->root));
    SD_TRY(read_number(c->root, "r", true, &rank));
    c->rank = (int64_t)rank;
    SD_TRY(read_number(c->root, "lora_alpha", false, &c->alpha));
    SD_TRY(read_flag(c->root, "use_rslora", &c->rank_stabilized));
    SD_TRY(read_flag(c->root, "fan_in_fan_out", &c->transposed));
    SD_TRY(read_rules(c->root, "rank_pattern", true, &c->ranks));
    SD_TRY(read_rules(c->root, "alpha_pattern", false, &c->alphas));

done:
    return st;
}

sd_status sd_adapter_config_read(const char *folder, sd_adapter_config **out)
{
    sd_status          st   = SD_OK;
    sd_adapter_config *c    = NULL;
    char              *path = NULL;

    *out = NULL;
    SD_TRY(sd_alloc(1, sizeof *c, &c));
    SD_TRY(sd_path_join(folder, NAME, &path));
    SD_TRY(sd_json_read(path, NAME, MOST_BYTES, &c->root));
    SD_TRY(read_keys(c));
    *out = c;
    c    = NULL;

done:
    sd_free(path);
    sd_adapter_config_destroy(&c);
    return st;
}

void sd_adapter_config_destroy(sd_adapter_config **config)
{
    if (*config == NULL) return;
    release_rules(&(*config)->ranks);
    release_rules(&(*config)->alphas);
    json_decref((*config)->root);
    sd_free(*config);
    *config = NULL;
}

bool sd_adapter_config_transposed(const sd_adapter_config *config)
{
    return config->transposed;
}

sd_status sd_adapter_config_scale(const sd_adapter_config *config, const char *module,
                                  int64_t length, int64_t *rank, double *scale)
{
    sd_status st    = SD_OK;
    double    r     = (double)config->rank;
    double    alpha = config->alpha;

    SD_TRY(apply(&config->ranks, module, length, &r));
    SD_TRY(apply(&config->alphas, module, length, &alpha));
    *rank  = (int64_t)r;
    *scale = alpha / (config->rank_stabilized ? sqrt(r) : r);

done:
    return st;
}

/* ---- the base ---- */

/* A string that is not empty, or NULL. */
static const char *text_of(const json_t *root, const char *key)
{
    const char *text = json_string_value(json_object_get(root, key));

    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* models--ORG--NAME of ORG/NAME. Yours. */
static sd_status hub_name(const char *name, char **out)
{
    sd_status    st    = SD_OK;
    const size_t bytes = 2 * strlen(name) + sizeof "models--";
    char        *to;

    SD_TRY(sd_alloc((int64_t)bytes, 1, out));
    to = *out + snprintf(*out, bytes, "models--");
    for (; *name != '\0'; name++) {
        if (*name == '/') *to++ = '-';
        *to++ = *name == '/' ? '-' : *name;
    }

done:
    return st;
}

/* The folder that a hub's cache would be beside: the adapter's parent, or its model's. Yours. */
static sd_status beside(const char *folder, char **out)
{
    sd_status st    = SD_OK;
    char     *model = NULL;

    SD_TRY(sd_hub_model_of(folder, &model));
    SD_TRY(sd_path_join(model != NULL ? model : folder, "..", out));

done:
    sd_free(model);
    return st;
}

static sd_status find_in_hub(const sd_adapter_config *config, const char *folder, char **out)
{
    sd_status   st       = SD_OK;
    const char *revision = text_of(config->root, "revision");
    char       *cache = NULL, *name = NULL, *model = NULL, *refs = NULL;

    SD_TRY(beside(folder, &cache));
    SD_TRY(hub_name(text_of(config->root, "base_model_name_or_path"), &name));
    SD_TRY(sd_path_join(cache, name, &model));
    if (!sd_file_exists(model)) goto done;
    SD_TRY(sd_path_join(model, "refs", &refs));
    if (revision == NULL || strcmp(revision, "main") == 0)
        SD_TRY(sd_copy_string(model, out));
    else
        SD_TRY(sd_path_join(refs, revision, out));

done:
    sd_free(cache);
    sd_free(name);
    sd_free(model);
    sd_free(refs);
    return st;
}

sd_status sd_adapter_config_base(const sd_adapter_config *config, const char *folder, char **out)
{
    sd_status   st   = SD_OK;
    const char *base = text_of(config->root, "base_model_name_or_path");

    *out = NULL;
    SD_REQUIRE(base != NULL, SD_ERR_INPUT,
               "%s: names no base; give it by 'base' of the run, or by --base", NAME);
    if (base[0] != '/') {
        SD_TRY(sd_path_join(folder, base, out));
        if (sd_file_exists(*out)) goto done;
        sd_free(*out);
        *out = NULL;
    }
    if (sd_file_exists(base)) return sd_copy_string(base, out);
    SD_TRY(find_in_hub(config, folder, out));
    SD_REQUIRE(*out != NULL, SD_ERR_INPUT,
               "%s: its base '%s' is not found; give it by 'base' of the run, or by --base", NAME,
               base);

done:
    return st;
}
