/*
 * Gemma 3, text, as transformers' Gemma3ForCausalLM reads it: Gemma 2 with norms of query and key
 * heads in place of the cap, and a window in all layers but every sixth, which have positions of
 * their own (theta 1 000 000, possibly stretched, against 10 000). Models with images
 * (Gemma3ForConditionalGeneration) nest and name their text part otherwise and are not read.
 *
 * Linear maps: as in gemma2.c. For one token the norms of query and key do not matter.
 */
#include <math.h>

#include "pipeline/model_keys.h"
#include "pipeline/models/family.h"

/* Keys that change numbers elsewhere and are read here. */
static const char *const understood[] = {"sliding_window",        "layer_types",
                                         "query_pre_attn_scalar", "rope_parameters.full_attention",
                                         "rope_local_base_freq",  NULL};

/* One kind of positions for both kinds of layers: the reference passes over it. */
static sd_status refuse_flat_positions(const sd_config *config)
{
    static const char *const keys[] = {"rope_parameters.rope_type", "rope_parameters.rope_theta",
                                       "rope_parameters.factor"};
    sd_status                st     = SD_OK;

    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        SD_REQUIRE(!sd_config_has(config, keys[k]), SD_ERR_INPUT,
                   "%s: '%s' is of no kind of layers, want it in 'full_attention' or "
                   "'sliding_attention'",
                   sd_config_shown(config), keys[k]);

done:
    return st;
}

static sd_status read_config(const sd_config *config, sd_model *out)
{
    sd_status   st      = SD_OK;
    const char *section = NULL;
    double      scalar  = 256;

    *out = (sd_model){.wiring      = SD_WIRING_SEQUENTIAL,
                      .n_kv        = 4,
                      .d_head      = 256,
                      .act         = SD_ACT_GELU_TANH,
                      .norm_eps    = 1e-6,
                      .norm_offset = 1,
                      .tied        = true,
                      .window      = 4096,
                      .rope.theta  = 1e6,
                      .local_rope  = {.kind = SD_ROPE_DEFAULT, .theta = 10000}};
    SD_TRY(sd_refuse_keys(config, "gemma3_text", understood));
    SD_TRY(sd_read_sizes(config, out));
    SD_TRY(sd_read_activation(config, "hidden_activation", &out->act));
    SD_TRY(sd_config_real(config, "rms_norm_eps", 0.0, 1.0, &out->norm_eps));
    SD_TRY(sd_config_bool(config, "tie_word_embeddings", &out->tied));
    SD_TRY(sd_config_bool(config, "attention_bias", &out->attention_bias));
    SD_TRY(sd_config_real(config, "query_pre_attn_scalar", 1e-9, 1e9, &scalar));
    SD_TRY(sd_read_windows(config, 6, out));
    SD_TRY(refuse_flat_positions(config));
    SD_TRY(sd_find_rope_section(config, &section));
    if (sd_config_has(config, "rope_scaling")) {
        SD_TRY(sd_read_rope(config, section, "rope_theta", &out->rope));
    } else {
        SD_TRY(sd_read_rope(config, "rope_parameters.full_attention", "rope_theta", &out->rope));
    }
    SD_TRY(sd_read_rope(config, "rope_parameters.sliding_attention", "rope_local_base_freq",
                        &out->local_rope));
    SD_TRY(sd_read_bos(config, &out->bos));
    out->attention_scale = 1 / sqrt(scalar);
    out->embedding_scale = sqrt((double)out->d);

done:
    return st;
}

extern const sd_family sd_family_gemma3;

const sd_family sd_family_gemma3 = {
    .name          = "gemma3",
    .architectures = {"Gemma3ForCausalLM"},
    .tensor =
        {
            [SD_T_EMBED]  = "model.embed_tokens.weight",
            [SD_T_NORM1]  = "model.layers.%d.input_layernorm.weight",
            [SD_T_WQ]     = "model.layers.%d.self_attn.q_proj.weight",
            [SD_T_WK]     = "model.layers.%d.self_attn.k_proj.weight",
            [SD_T_WV]     = "model.layers.%d.self_attn.v_proj.weight",
            [SD_T_WO]     = "model.layers.%d.self_attn.o_proj.weight",
            [SD_T_NORM2]  = "model.layers.%d.pre_feedforward_layernorm.weight",
            [SD_T_POST1]  = "model.layers.%d.post_attention_layernorm.weight",
            [SD_T_POST2]  = "model.layers.%d.post_feedforward_layernorm.weight",
            [SD_T_NORM_Q] = "model.layers.%d.self_attn.q_norm.weight",
            [SD_T_NORM_K] = "model.layers.%d.self_attn.k_norm.weight",
            [SD_T_GATE]   = "model.layers.%d.mlp.gate_proj.weight",
            [SD_T_UP]     = "model.layers.%d.mlp.up_proj.weight",
            [SD_T_DOWN]   = "model.layers.%d.mlp.down_proj.weight",
            [SD_T_BIAS_Q] = "model.layers.%d.self_attn.q_proj.bias",
            [SD_T_BIAS_K] = "model.layers.%d.self_attn.k_proj.bias",
            [SD_T_BIAS_V] = "model.layers.%d.self_attn.v_proj.bias",
            [SD_T_BIAS_O] = "model.layers.%d.self_attn.o_proj.bias",
        },
    .read_config = read_config,
};
