/*
 * Llama as transformers' LlamaForCausalLM reads it: grouped-query attention with rotary positions,
 * gated FFN, RMS norms in front of both. The defaults are those of its LlamaConfig.
 */
#include <stddef.h>

#include "pipeline/model_keys.h"
#include "pipeline/models/family.h"

static sd_status read_config(const sd_config *config, sd_model *out)
{
    sd_status   st      = SD_OK;
    const char *section = NULL;

    *out = (sd_model){
        .wiring = SD_WIRING_SEQUENTIAL, .act = SD_ACT_SILU, .norm_eps = 1e-6, .rope.theta = 10000};
    SD_TRY(sd_refuse_keys(config, "llama", NULL));
    SD_TRY(sd_read_sizes(config, out));
    SD_TRY(sd_read_activation(config, "hidden_act", &out->act));
    SD_TRY(sd_config_real(config, "rms_norm_eps", 0.0, 1.0, &out->norm_eps));
    SD_TRY(sd_config_bool(config, "tie_word_embeddings", &out->tied));
    SD_TRY(sd_config_bool(config, "attention_bias", &out->attention_bias));
    SD_TRY(sd_config_bool(config, "mlp_bias", &out->ffn_bias));
    SD_TRY(sd_find_rope_section(config, &section));
    SD_TRY(sd_read_rope(config, section, "rope_theta", &out->rope));
    SD_TRY(sd_read_bos(config, &out->bos));

done:
    return st;
}

extern const sd_family sd_family_llama;

const sd_family sd_family_llama = {
    .name          = "llama",
    .architectures = {"LlamaForCausalLM"},
    .tensor =
        {
            [SD_T_EMBED]     = "model.embed_tokens.weight",
            [SD_T_NORM1]     = "model.layers.%d.input_layernorm.weight",
            [SD_T_WQ]        = "model.layers.%d.self_attn.q_proj.weight",
            [SD_T_WK]        = "model.layers.%d.self_attn.k_proj.weight",
            [SD_T_WV]        = "model.layers.%d.self_attn.v_proj.weight",
            [SD_T_WO]        = "model.layers.%d.self_attn.o_proj.weight",
            [SD_T_NORM2]     = "model.layers.%d.post_attention_layernorm.weight",
            [SD_T_GATE]      = "model.layers.%d.mlp.gate_proj.weight",
            [SD_T_UP]        = "model.layers.%d.mlp.up_proj.weight",
            [SD_T_DOWN]      = "model.layers.%d.mlp.down_proj.weight",
            [SD_T_BIAS_Q]    = "model.layers.%d.self_attn.q_proj.bias",
            [SD_T_BIAS_K]    = "model.layers.%d.self_attn.k_proj.bias",
            [SD_T_BIAS_V]    = "model.layers.%d.self_attn.v_proj.bias",
            [SD_T_BIAS_O]    = "model.layers.%d.self_attn.o_proj.bias",
            [SD_T_BIAS_GATE] = "model.layers.%d.mlp.gate_proj.bias",
            [SD_T_BIAS_UP]   = "model.layers.%d.mlp.up_proj.bias",
            [SD_T_BIAS_DOWN] = "model.layers.%d.mlp.down_proj.bias",
        },
    .read_config = read_config,
};
