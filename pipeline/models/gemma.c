/*
 * Gemma 1 as transformers' GemmaForCausalLM reads it: Llama's block with weights of norms stored
 * as gamma - 1, states 0 times sqrt(d) rounded to float, GELU by its tanh formula ("gelu" in old
 * configs means that too), and heads whose size is their own. Its linear maps are Llama's, exact
 * for one token.
 */
#include <math.h>

#include "pipeline/model_keys.h"
#include "pipeline/models/family.h"

static sd_status read_config(const sd_config *config, sd_model *out)
{
    sd_status   st      = SD_OK;
    const char *section = NULL;

    *out = (sd_model){.wiring      = SD_WIRING_SEQUENTIAL,
                      .n_kv        = 16,
                      .d_head      = 256,
                      .act         = SD_ACT_GELU_TANH,
                      .norm_eps    = 1e-6,
                      .norm_offset = 1,
                      .tied        = true,
                      .rope.theta  = 10000};
    SD_TRY(sd_refuse_keys(config, "gemma", NULL));
    SD_TRY(sd_read_sizes(config, out));
    SD_TRY(sd_read_activation(config, "hidden_act", &out->act));
    SD_TRY(sd_read_activation(config, "hidden_activation", &out->act));
    if (out->act == SD_ACT_GELU) out->act = SD_ACT_GELU_TANH;
    SD_TRY(sd_config_real(config, "rms_norm_eps", 0.0, 1.0, &out->norm_eps));
    SD_TRY(sd_config_bool(config, "tie_word_embeddings", &out->tied));
    SD_TRY(sd_config_bool(config, "attention_bias", &out->attention_bias));
    SD_TRY(sd_find_rope_section(config, &section));
    SD_TRY(sd_read_rope(config, section, "rope_theta", &out->rope));
    SD_TRY(sd_read_bos(config, &out->bos));
    out->embedding_scale = sqrt((double)out->d);

done:
    return st;
}

extern const sd_family sd_family_gemma;

const sd_family sd_family_gemma = {
    .name          = "gemma",
    .architectures = {"GemmaForCausalLM"},
    .tensor =
        {
            [SD_T_EMBED]  = "model.embed_tokens.weight",
            [SD_T_NORM1]  = "model.layers.%d.input_layernorm.weight",
            [SD_T_WQ]     = "model.layers.%d.self_attn.q_proj.weight",
            [SD_T_WK]     = "model.layers.%d.self_attn.k_proj.weight",
            [SD_T_WV]     = "model.layers.%d.self_attn.v_proj.weight",
            [SD_T_WO]     = "model.layers.%d.self_attn.o_proj.weight",
            [SD_T_NORM2]  = "model.layers.%d.post_attention_layernorm.weight",
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
