#include "io/gguf_llama.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json.h"
#include "solvers/base/memory.h"

static const char *const query_heads = "llama.attention.head_count";
static const char *const key_heads   = "llama.attention.head_count_kv";

/* ---- tensors ---- */

static const struct {
    const char *stored, *original;
    enum { IN_ORDER, BY_QUERY_HEADS, BY_KEY_HEADS } rows;
} of_layer[] = {
    {"attn_norm", "input_layernorm", IN_ORDER},
    {"attn_q", "self_attn.q_proj", BY_QUERY_HEADS},
    {"attn_k", "self_attn.k_proj", BY_KEY_HEADS},
    {"attn_v", "self_attn.v_proj", IN_ORDER},
    {"attn_output", "self_attn.o_proj", IN_ORDER},
    {"ffn_norm", "post_attention_layernorm", IN_ORDER},
    {"ffn_gate", "mlp.gate_proj", IN_ORDER},
    {"ffn_up", "mlp.up_proj", IN_ORDER},
    {"ffn_down", "mlp.down_proj", IN_ORDER},
};
enum { N_OF_LAYER = sizeof of_layer / sizeof of_layer[0] };

static const struct {
    const char *stored, *original;
} of_model[] = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
};
enum { N_OF_MODEL = sizeof of_model / sizeof of_model[0] };

/* "blk.3." in front: what follows and its number; NULL for another text, 03 and 10000000 included.
 */
static const char *behind_layer(const char *name, char number[8])
{
    size_t n;

    if (strncmp(name, "blk.", 4) != 0) return NULL;
    name += 4;
    n = strspn(name, "0123456789");
    if (n == 0 || n > 7 || (n > 1 && name[0] == '0') || name[n] != '.') return NULL;
    memcpy(number, name, n);
    number[n] = '\0';
    return name + n + 1;
}

/* Row of the table for "attn_q.weight" or "attn_q.bias", -1 without one; `kind` is behind the dot.
 */
static int row_of(const char *part, const char **kind)
{
    for (int k = 0; k < N_OF_LAYER; k++) {
        const size_t n = strlen(of_layer[k].stored);

        if (strncmp(part, of_layer[k].stored, n) != 0 || part[n] != '.') continue;
        *kind = part + n + 1;
        if (strcmp(*kind, "weight") == 0 || strcmp(*kind, "bias") == 0) return k;
    }
    return -1;
}

/* A whole number of the metadata; *value stays as it is without one. */
static sd_status read_count(const sd_gguf *g, const char *key, int64_t *value)
{
    sd_status           st   = SD_OK;
    const sd_gguf_pair *pair = sd_gguf_find(g, key);

    if (pair == NULL) return SD_OK;
    SD_REQUIRE((pair->kind == SD_GGUF_UNSIGNED || pair->kind == SD_GGUF_SIGNED) &&
                   pair->is.u <= INT64_MAX,
               SD_ERR_INPUT, "%s: '%s' is no count, want one whole number", g->shown, key);
    *value = (int64_t)pair->is.u;

done:
    return st;
}

static sd_status heads_of(const sd_gguf *g, const sd_gguf_tensor *t, int row, int64_t *n_heads)
{
    sd_status     st   = SD_OK;
    const int64_t rows = t->n_dims > 1 ? t->dim[1] : t->dim[0]; /* of a bias: its numbers */

    *n_heads = 0;
    if (of_layer[row].rows == IN_ORDER) return SD_OK;
    SD_TRY(read_count(g, query_heads, n_heads));
    if (of_layer[row].rows == BY_KEY_HEADS) SD_TRY(read_count(g, key_heads, n_heads));
    SD_REQUIRE(*n_heads > 0 && rows % *n_heads == 0 && rows / *n_heads % 2 == 0 && t->n_dims <= 2,
               SD_ERR_INPUT,
               "%s: tensor '%s' has %" PRId64 " rows, want an even number for each of %" PRId64
               " heads",
               g->shown, t->name, rows, *n_heads);

done:
    return st;
}

sd_status sd_gguf_llama_tensor(const sd_gguf *gguf, const sd_gguf_tensor *tensor,
                               char out[SD_GGUF_NEW_NAME], int64_t *n_heads)
{
    sd_status   st = SD_OK;
    char        number[8];
    const char *part = behind_layer(tensor->name, number), *kind = NULL;
    const int   row = part != NULL ? row_of(part, &kind) : -1;

    *n_heads = 0;
    for (int k = 0; k < N_OF_MODEL; k++) {
        if (strcmp(of_model[k].stored, tensor->name) != 0) continue;
        strcpy(out, of_model[k].original);
        return SD_OK;
    }
    SD_REQUIRE(strcmp(tensor->name, "rope_freqs.weight") != 0, SD_ERR_INPUT,
               "%s: 'rope_freqs.weight' changes the rotary positions, which is not supported in a "
               "GGUF file; use the original model",
               gguf->shown);
    SD_REQUIRE(row >= 0, SD_ERR_INPUT,
               "%s: the architecture llama has no tensor '%s' here: it would change the model's "
               "numbers and is not supported",
               gguf->shown, tensor->name);
    snprintf(out, SD_GGUF_NEW_NAME, "model.layers.%s.%s.%s", number, of_layer[row].original, kind);
    SD_TRY(heads_of(gguf, tensor, row, n_heads));

done:
    return st;
}

/* ---- metadata ---- */

sd_status sd_gguf_llama_is(const sd_gguf *gguf)
{
    sd_status           st    = SD_OK;
    const sd_gguf_pair *pair  = sd_gguf_find(gguf, "general.architecture");
    int64_t             parts = 1;

    SD_REQUIRE(pair != NULL && pair->kind == SD_GGUF_TEXT, SD_ERR_INPUT,
               "%s: has no 'general.architecture': it is no model", gguf->shown);
    SD_REQUIRE(strcmp(pair->is.text, "llama") == 0, SD_ERR_INPUT,
               "%s: the GGUF architecture \"%.40s\" is not supported, want llama", gguf->shown,
               pair->is.text);
    SD_TRY(read_count(gguf, "split.count", &parts));
    SD_REQUIRE(parts <= 1, SD_ERR_INPUT,
               "%s: is one of %" PRId64 " parts; join them by llama-gguf-split --merge",
               gguf->shown, parts);

done:
    return st;
}

typedef struct {
    const char *stored, *original;
    enum { NEEDED, OPTIONAL, NOT_ZERO } when; /* NOT_ZERO: 0 means that there is none */
} setting;

static const setting counts[] = {
    {"llama.block_count", "num_hidden_layers", NEEDED},
    {"llama.embedding_length", "hidden_size", NEEDED},
    {"llama.feed_forward_length", "intermediate_size", NEEDED},
    {"llama.attention.head_count", "num_attention_heads", NEEDED},
    {"llama.attention.head_count_kv", "num_key_value_heads", OPTIONAL},
    {"llama.attention.key_length", "head_dim", OPTIONAL},
    {"llama.context_length", "max_position_embeddings", OPTIONAL},
    {"llama.vocab_size", "vocab_size", OPTIONAL},
    {"llama.expert_count", "num_local_experts", NOT_ZERO},
    {"llama.attention.sliding_window", "sliding_window", NOT_ZERO},
    {"tokenizer.ggml.bos_token_id", "bos_token_id", OPTIONAL},
};

/* The last ones have their neutral value or are refused by who reads the config. */
static const setting reals[] = {
    {"llama.attention.layer_norm_rms_epsilon", "rms_norm_eps", NEEDED},
    {"llama.rope.freq_base", "rope_theta", OPTIONAL},
    {"llama.attention.scale", "attention_multiplier", NOT_ZERO},
    {"llama.embedding_scale", "embedding_multiplier", OPTIONAL},
    {"llama.residual_scale", "residual_multiplier", OPTIONAL},
    {"llama.attention.clamp_kqv", "clip_qkv", NOT_ZERO},
    {"llama.attn_logit_softcapping", "attn_logit_softcapping", NOT_ZERO},
};

static sd_status put(json_t *root, const char *key, json_t *value)
{
    sd_status st = SD_OK;

    SD_REQUIRE(json_object_set_new(root, key, value) == 0, SD_ERR_RESOURCE, "no memory for '%s'",
               key);

done:
    return st;
}

static sd_status need_key(const sd_gguf *g, const setting *s)
{
    sd_status st = SD_OK;

    SD_REQUIRE(s->when != NEEDED || sd_gguf_find(g, s->stored) != NULL, SD_ERR_INPUT,
               "%s: the metadata has no '%s'", g->shown, s->stored);

done:
    return st;
}

static sd_status put_counts(const sd_gguf *g, json_t *root)
{
    sd_status st = SD_OK;

    for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
        int64_t value = -1;

        SD_TRY(need_key(g, &counts[k]));
        SD_TRY(read_count(g, counts[k].stored, &value));
        if (value > 0 || (value == 0 && counts[k].when != NOT_ZERO))
            SD_TRY(put(root, counts[k].original, json_integer(value)));
    }

done:
    return st;
}

/* The shortest decimal that rounds to a float: what a person or a config wrote. */
static double meant(float value)
{
    char text[32];

    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value) break;
    }
    return strtod(text, NULL);
}

/* A real of the metadata; *value stays as it is without one. */
static sd_status read_real(const sd_gguf *g, const char *key, double *value)
{
    sd_status           st   = SD_OK;
    const sd_gguf_pair *pair = sd_gguf_find(g, key);

    if (pair == NULL) return SD_OK;
    SD_REQUIRE(pair->kind == SD_GGUF_REAL && isfinite(pair->is.real), SD_ERR_INPUT,
               "%s: '%s' is no finite real number", g->shown, key);
    *value = pair->bits == 32 ? meant((float)pair->is.real) : pair->is.real;

done:
    return st;
}

static sd_status put_reals(const sd_gguf *g, json_t *root)
{
    sd_status st = SD_OK;

    for (size_t k = 0; k < sizeof reals / sizeof reals[0]; k++) {
        double value = 0;

        SD_TRY(need_key(g, &reals[k]));
        SD_TRY(read_real(g, reals[k].stored, &value));
        if (sd_gguf_find(g, reals[k].stored) == NULL) continue;
        if (value != 0 || reals[k].when != NOT_ZERO)
            SD_TRY(put(root, reals[k].original, json_real(value)));
    }

done:
    return st;
}

/* Channels of a head, of its keys, its values and of those that positions turn: all are one. */
static sd_status check_head(const sd_gguf *g, json_t *root)
{
    sd_status st    = SD_OK;
    int64_t   width = 0, heads = 0, head, values, turned;

    SD_TRY(read_count(g, "llama.embedding_length", &width));
    SD_TRY(read_count(g, query_heads, &heads));
    head = heads > 0 ? width / heads : 0;
    SD_TRY(read_count(g, "llama.attention.key_length", &head));
    values = turned = head;
    SD_TRY(read_count(g, "llama.attention.value_length", &values));
    SD_TRY(read_count(g, "llama.rope.dimension_count", &turned));
    SD_REQUIRE(values == head && turned == head, SD_ERR_INPUT,
               "%s: heads of %" PRId64 " channels, values of %" PRId64 " and %" PRId64
               " turned by positions are not supported, want one number",
               g->shown, head, values, turned);
    if (head > 0) SD_TRY(put(root, "head_dim", json_integer(head)));

done:
    return st;
}

static sd_status put_rope_scaling(const sd_gguf *g, json_t *root)
{
    sd_status           st     = SD_OK;
    const sd_gguf_pair *type   = sd_gguf_find(g, "llama.rope.scaling.type");
    const char         *name   = "linear";
    double              factor = 1;

    SD_REQUIRE(type == NULL || type->kind == SD_GGUF_TEXT, SD_ERR_INPUT,
               "%s: 'llama.rope.scaling.type' is no text", g->shown);
    SD_TRY(read_real(g, "llama.rope.scale_linear", &factor)); /* the older key */
    SD_TRY(read_real(g, "llama.rope.scaling.factor", &factor));
    if (type != NULL) name = type->is.text;
    if (strcmp(name, "none") == 0 || (type == NULL && factor == 1)) return SD_OK;
    SD_TRY(put(root, "rope_scaling", json_pack("{s:s, s:f}", "rope_type", name, "factor", factor)));

done:
    return st;
}

static sd_status put_rest(const sd_gguf *g, json_t *root)
{
    sd_status             st    = SD_OK;
    const sd_gguf_tensor *embed = sd_gguf_tensor_of(g, "token_embd.weight");
    const sd_gguf_pair   *both  = sd_gguf_find(g, "llama.use_parallel_residual");
    const bool            tied  = sd_gguf_tensor_of(g, "output.weight") == NULL;

    SD_TRY(put(root, "architectures", json_pack("[s]", "LlamaForCausalLM")));
    SD_TRY(put(root, "model_type", json_string("llama")));
    if (embed != NULL && json_object_get(root, "vocab_size") == NULL)
        SD_TRY(put(root, "vocab_size", json_integer(embed->dim[1])));
    SD_TRY(put(root, "tie_word_embeddings", json_boolean(tied)));
    SD_TRY(put(root, "attention_bias",
               json_boolean(sd_gguf_tensor_of(g, "blk.0.attn_q.bias") != NULL)));
    SD_TRY(put(root, "mlp_bias", json_boolean(sd_gguf_tensor_of(g, "blk.0.ffn_up.bias") != NULL)));
    if (both != NULL && both->is.u != 0) SD_TRY(put(root, "use_parallel_residual", json_true()));

done:
    return st;
}

sd_status sd_gguf_llama_config(const sd_gguf *gguf, sd_config **out)
{
    sd_status st   = SD_OK;
    char     *text = NULL;
    json_t   *root = json_object();

    *out = NULL;
    SD_REQUIRE(root != NULL, SD_ERR_RESOURCE, "no memory for a config");
    SD_TRY(put_counts(gguf, root));
    SD_TRY(put_reals(gguf, root));
    SD_TRY(check_head(gguf, root));
    SD_TRY(put_rope_scaling(gguf, root));
    SD_TRY(put_rest(gguf, root));

    const size_t size = json_dumpb(root, NULL, 0, 0);
    SD_TRY(sd_alloc((int64_t)size + 1, 1, &text));
    SD_REQUIRE(size > 0 && json_dumpb(root, text, size, 0) == size, SD_ERR_RESOURCE,
               "no memory for a config");
    SD_TRY(sd_config_parse(text, (int64_t)size, gguf->shown, out));

done:
    sd_free(text);
    json_decref(root);
    return st;
}
