#include "io/gguf_model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json.h"
#include "solvers/base/dtype.h"
#include "solvers/base/memory.h"

/* ---- architectures ---- */

enum { LLAMA = 1, GEMMA = 2, GEMMA2 = 4, GEMMA3 = 8, POST_NORMS = GEMMA2 | GEMMA3, ALL = 15 };

typedef struct {
    const char *name, *original, *model_type; /* `architectures` and `model_type` of the config */
    int64_t     largest; /* layers of the one model whose logits scale by d / heads     */
    int         bit;
    bool        turned;    /* rows of query and key are not in order */
    bool        one_added; /* norms hold 1 + the original's weights  */
} architecture;

static const architecture architectures[] = {
    {"llama", "LlamaForCausalLM", "llama", 0, LLAMA, true, false},
    {"gemma", "GemmaForCausalLM", "gemma", 0, GEMMA, false, true},
    {"gemma2", "Gemma2ForCausalLM", "gemma2", 46, GEMMA2, false, true},
    {"gemma3", "Gemma3ForCausalLM", "gemma3_text", 62, GEMMA3, false, true},
};
enum { N_ARCHITECTURES = sizeof architectures / sizeof architectures[0], KEY = 96 };

/* The file's architecture; NULL when it names none that is known. */
static const architecture *architecture_of(const sd_gguf *g)
{
    const sd_gguf_pair *pair = sd_gguf_find(g, "general.architecture");

    for (int k = 0; pair != NULL && pair->kind == SD_GGUF_TEXT && k < N_ARCHITECTURES; k++)
        if (strcmp(architectures[k].name, pair->is.text) == 0) return &architectures[k];
    return NULL;
}

/* The key itself, or, where it begins with a dot, the architecture's of that ending. */
static const char *full_key(const sd_gguf *g, const char *key, char out[KEY])
{
    snprintf(out, KEY, "%s%s", key[0] == '.' ? architecture_of(g)->name : "", key);
    return out;
}

/* ---- tensors ---- */

static const struct {
    const char *stored, *original;
    int         of; /* architectures that have it */
    enum { PLAIN, NORM, BY_QUERY_HEADS, BY_KEY_HEADS } kind;
} of_layer[] = {
    {"attn_norm", "input_layernorm", ALL, NORM},
    {"attn_q", "self_attn.q_proj", ALL, BY_QUERY_HEADS},
    {"attn_k", "self_attn.k_proj", ALL, BY_KEY_HEADS},
    {"attn_v", "self_attn.v_proj", ALL, PLAIN},
    {"attn_output", "self_attn.o_proj", ALL, PLAIN},
    {"attn_q_norm", "self_attn.q_norm", GEMMA3, NORM},
    {"attn_k_norm", "self_attn.k_norm", GEMMA3, NORM},
    {"post_attention_norm", "post_attention_layernorm", POST_NORMS, NORM},
    {"ffn_norm", "post_attention_layernorm", LLAMA | GEMMA, NORM},
    {"ffn_norm", "pre_feedforward_layernorm", POST_NORMS, NORM},
    {"post_ffw_norm", "post_feedforward_layernorm", POST_NORMS, NORM},
    {"ffn_gate", "mlp.gate_proj", ALL, PLAIN},
    {"ffn_up", "mlp.up_proj", ALL, PLAIN},
    {"ffn_down", "mlp.down_proj", ALL, PLAIN},
};
enum { N_OF_LAYER = sizeof of_layer / sizeof of_layer[0] };

static const struct {
    const char *stored, *original;
    bool        norm;
} of_model[] = {
    {"token_embd.weight", "model.embed_tokens.weight", false},
    {"output_norm.weight", "model.norm.weight", true},
    {"output.weight", "lm_head.weight", false},
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
static int row_of(int bit, const char *part, const char **kind)
{
    for (int k = 0; k < N_OF_LAYER; k++) {
        const size_t n = strlen(of_layer[k].stored);

        if ((of_layer[k].of & bit) == 0) continue;
        if (strncmp(part, of_layer[k].stored, n) != 0 || part[n] != '.') continue;
        *kind = part + n + 1;
        if (strcmp(*kind, "weight") == 0 || strcmp(*kind, "bias") == 0) return k;
    }
    return -1;
}

/* A whole number of the metadata; *value stays as it is without one. */
static sd_status read_count(const sd_gguf *g, const char *key, int64_t *value)
{
    sd_status           st = SD_OK;
    char                full[KEY];
    const sd_gguf_pair *pair = sd_gguf_find(g, full_key(g, key, full));

    if (pair == NULL) return SD_OK;
    SD_REQUIRE((pair->kind == SD_GGUF_UNSIGNED || pair->kind == SD_GGUF_SIGNED) &&
                   pair->is.u <= INT64_MAX,
               SD_ERR_INPUT, "%s: '%s' is no count, want one whole number", g->shown, full);
    *value = (int64_t)pair->is.u;

done:
    return st;
}

/* In how many heads the rows of query or key stand that have to be put back in order. */
static sd_status heads_of(const sd_gguf *g, const sd_gguf_tensor *t, bool of_keys, int64_t *n_heads)
{
    sd_status     st   = SD_OK;
    const int64_t rows = t->n_dims > 1 ? t->dim[1] : t->dim[0]; /* of a bias: its numbers */

    *n_heads = 0;
    SD_TRY(read_count(g, ".attention.head_count", n_heads));
    if (of_keys) SD_TRY(read_count(g, ".attention.head_count_kv", n_heads));
    SD_REQUIRE(*n_heads > 0 && rows % *n_heads == 0 && rows / *n_heads % 2 == 0 && t->n_dims <= 2,
               SD_ERR_INPUT,
               "%s: tensor '%s' has %" PRId64 " rows, want an even number for each of %" PRId64
               " heads",
               g->shown, t->name, rows, *n_heads);

done:
    return st;
}

/* Norms of some architectures are stored with 1 added, in single precision. */
static sd_status one_of(const sd_gguf *g, const sd_gguf_tensor *t, bool *one_added)
{
    sd_status st = SD_OK;

    *one_added = architecture_of(g)->one_added;
    SD_REQUIRE(!*one_added || t->type->type == SD_F32, SD_ERR_INPUT,
               "%s: tensor '%s' is stored as %s, want F32 for a norm", g->shown, t->name,
               t->type->name);

done:
    return st;
}

static bool name_of_model(const char *stored, sd_gguf_original *out, bool *norm)
{
    for (int k = 0; k < N_OF_MODEL; k++) {
        if (strcmp(of_model[k].stored, stored) != 0) continue;
        strcpy(out->name, of_model[k].original);
        *norm = of_model[k].norm;
        return true;
    }
    return false;
}

sd_status sd_gguf_original_of(const sd_gguf *gguf, const sd_gguf_tensor *tensor,
                              sd_gguf_original *out)
{
    sd_status           st   = SD_OK;
    const architecture *a    = architecture_of(gguf);
    bool                norm = false;
    char                number[8];
    const char         *part = behind_layer(tensor->name, number), *kind = NULL;
    const int           row = part != NULL ? row_of(a->bit, part, &kind) : -1;

    *out = (sd_gguf_original){.n_heads = 0};
    SD_REQUIRE(strcmp(tensor->name, "rope_freqs.weight") != 0, SD_ERR_INPUT,
               "%s: 'rope_freqs.weight' changes the rotary positions, which is not supported in a "
               "GGUF file; use the original model",
               gguf->shown);
    if (!name_of_model(tensor->name, out, &norm)) {
        SD_REQUIRE(row >= 0, SD_ERR_INPUT,
                   "%s: the architecture %s has no tensor '%s' here: it would change the model's "
                   "numbers and is not supported",
                   gguf->shown, a->name, tensor->name);
        snprintf(out->name, SD_GGUF_NEW_NAME, "model.layers.%s.%s.%s", number,
                 of_layer[row].original, kind);
        norm = of_layer[row].kind == NORM;
        if (a->turned && of_layer[row].kind >= BY_QUERY_HEADS)
            SD_TRY(heads_of(gguf, tensor, of_layer[row].kind == BY_KEY_HEADS, &out->n_heads));
    }
    if (norm) SD_TRY(one_of(gguf, tensor, &out->one_added));

done:
    return st;
}

/* ---- metadata ---- */

static void list_known(char out[KEY])
{
    size_t used = 0;

    for (int k = 0; k < N_ARCHITECTURES; k++)
        used += (size_t)snprintf(out + used, KEY - used, "%s%s", k > 0 ? ", " : "",
                                 architectures[k].name);
}

sd_status sd_gguf_is_known(const sd_gguf *gguf)
{
    sd_status           st    = SD_OK;
    const sd_gguf_pair *pair  = sd_gguf_find(gguf, "general.architecture");
    int64_t             parts = 1;
    char                known[KEY];

    list_known(known);
    SD_REQUIRE(pair != NULL && pair->kind == SD_GGUF_TEXT, SD_ERR_INPUT,
               "%s: has no 'general.architecture': it is no model", gguf->shown);
    SD_REQUIRE(architecture_of(gguf) != NULL, SD_ERR_INPUT,
               "%s: the GGUF architecture \"%.40s\" is not supported; known are: %s", gguf->shown,
               pair->is.text, known);
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
    {".block_count", "num_hidden_layers", NEEDED},
    {".embedding_length", "hidden_size", NEEDED},
    {".feed_forward_length", "intermediate_size", NEEDED},
    {".attention.head_count", "num_attention_heads", NEEDED},
    {".attention.head_count_kv", "num_key_value_heads", OPTIONAL},
    {".attention.key_length", "head_dim", OPTIONAL},
    {".context_length", "max_position_embeddings", OPTIONAL},
    {".vocab_size", "vocab_size", OPTIONAL},
    {".expert_count", "num_local_experts", NOT_ZERO},
    {".attention.sliding_window", "sliding_window", NOT_ZERO},
    {".attention.sliding_window_pattern", "sliding_window_pattern", OPTIONAL},
    {"tokenizer.ggml.bos_token_id", "bos_token_id", OPTIONAL},
};

/* The last ones have their neutral value or are refused by who reads the config. */
static const setting reals[] = {
    {".attention.layer_norm_rms_epsilon", "rms_norm_eps", NEEDED},
    {".rope.freq_base", "rope_theta", OPTIONAL},
    {".rope.freq_base_swa", "rope_local_base_freq", OPTIONAL},
    {".attention.scale", "attention_multiplier", NOT_ZERO},
    {".embedding_scale", "embedding_multiplier", OPTIONAL},
    {".residual_scale", "residual_multiplier", OPTIONAL},
    {".attention.clamp_kqv", "clip_qkv", NOT_ZERO},
    {".attn_logit_softcapping", "attn_logit_softcapping", NOT_ZERO},
    {".final_logit_softcapping", "final_logit_softcapping", NOT_ZERO},
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
    char      full[KEY];

    full_key(g, s->stored, full);
    SD_REQUIRE(s->when != NEEDED || sd_gguf_find(g, full) != NULL, SD_ERR_INPUT,
               "%s: the metadata has no '%s'", g->shown, full);

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
    sd_status           st = SD_OK;
    char                full[KEY];
    const sd_gguf_pair *pair = sd_gguf_find(g, full_key(g, key, full));

    if (pair == NULL) return SD_OK;
    SD_REQUIRE(pair->kind == SD_GGUF_REAL && isfinite(pair->is.real), SD_ERR_INPUT,
               "%s: '%s' is no finite real number", g->shown, full);
    *value = pair->bits == 32 ? meant((float)pair->is.real) : pair->is.real;

done:
    return st;
}

static sd_status put_reals(const sd_gguf *g, json_t *root)
{
    sd_status st = SD_OK;

    for (size_t k = 0; k < sizeof reals / sizeof reals[0]; k++) {
        double value = 0;
        char   full[KEY];

        SD_TRY(need_key(g, &reals[k]));
        SD_TRY(read_real(g, reals[k].stored, &value));
        if (sd_gguf_find(g, full_key(g, reals[k].stored, full)) == NULL) continue;
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

    SD_TRY(read_count(g, ".embedding_length", &width));
    SD_TRY(read_count(g, ".attention.head_count", &heads));
    head = heads > 0 ? width / heads : 0;
    SD_TRY(read_count(g, ".attention.key_length", &head));
    values = turned = head;
    SD_TRY(read_count(g, ".attention.value_length", &values));
    SD_TRY(read_count(g, ".rope.dimension_count", &turned));
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
    sd_status           st = SD_OK;
    char                key[KEY];
    const sd_gguf_pair *type   = sd_gguf_find(g, full_key(g, ".rope.scaling.type", key));
    const char         *name   = "linear";
    double              factor = 1;

    SD_REQUIRE(type == NULL || type->kind == SD_GGUF_TEXT, SD_ERR_INPUT, "%s: '%s' is no text",
               g->shown, key);
    SD_TRY(read_real(g, ".rope.scale_linear", &factor)); /* the older key */
    SD_TRY(read_real(g, ".rope.scaling.factor", &factor));
    if (type != NULL) name = type->is.text;
    if (strcmp(name, "none") == 0 || (type == NULL && factor == 1)) return SD_OK;
    SD_TRY(put(root, "rope_scaling", json_pack("{s:s, s:f}", "rope_type", name, "factor", factor)));

done:
    return st;
}

static sd_status put_rest(const sd_gguf *g, json_t *root)
{
    sd_status             st = SD_OK;
    char                  key[KEY];
    const architecture   *a     = architecture_of(g);
    const sd_gguf_tensor *embed = sd_gguf_tensor_of(g, "token_embd.weight");
    const sd_gguf_pair   *both  = sd_gguf_find(g, full_key(g, ".use_parallel_residual", key));
    const bool            tied  = sd_gguf_tensor_of(g, "output.weight") == NULL;

    SD_TRY(put(root, "architectures", json_pack("[s]", a->original)));
    SD_TRY(put(root, "model_type", json_string(a->model_type)));
    if (json_object_get(root, "rope_theta") == NULL)
        SD_TRY(put(root, "rope_theta", json_real(10000))); /* whatever the original's default */
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

/* What the file leaves out because its readers know it of the architecture. */
static sd_status put_known(const sd_gguf *g, json_t *root)
{
    const architecture *a     = architecture_of(g);
    sd_status           st    = SD_OK;
    int64_t             width = 0, heads = 1, layers = 0;
    double              scalar;

    if ((a->bit & POST_NORMS) == 0) return SD_OK;
    SD_TRY(read_count(g, ".embedding_length", &width));
    SD_TRY(read_count(g, ".attention.head_count", &heads));
    SD_TRY(read_count(g, ".block_count", &layers));
    scalar = (double)json_integer_value(json_object_get(root, "head_dim"));
    if (layers == a->largest && heads > 0) {
        const int64_t whole = width / heads;

        scalar = (double)whole;
    }
    SD_TRY(put(root, "query_pre_attn_scalar", json_real(scalar)));
    SD_REQUIRE(a->bit != GEMMA3 || json_object_get(root, "sliding_window") != NULL, SD_ERR_INPUT,
               "%s: the metadata has no 'gemma3.attention.sliding_window' above 0", g->shown);

done:
    return st;
}

sd_status sd_gguf_config(const sd_gguf *gguf, sd_config **out)
{
    sd_status st   = SD_OK;
    char     *text = NULL;
    json_t   *root = json_object();

    *out = NULL;
    SD_REQUIRE(root != NULL, SD_ERR_RESOURCE, "no memory for a config");
    SD_TRY(put_counts(gguf, root));
    SD_TRY(put_reals(gguf, root));
    SD_TRY(check_head(gguf, root));
    SD_TRY(put_known(gguf, root));
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
