/*
 * Gemma 2 as transformers' Gemma2ForCausalLM reads it: Gemma 1 with norms behind attention and FFN,
 * a cap on the logits of attention, a scale of their own (query_pre_attn_scalar), and a window in
 * every second layer.
 *
 * Linear maps: a branch is diag(post gamma) M diag(gamma) over what the post-norm divides by on
 * N(0, I) (solvers/layer_op.h). For one token exact attention is diag(post gamma) M diag(gamma)
 * norm(x) over its own length instead: A norm(x) up to a positive factor.
 */
#include <math.h>
#include <string.h>

#include "pipeline/model_keys.h"
#include "pipeline/models/family.h"

/* Keys that change numbers elsewhere and are read here. */
static const char *const understood[] = {"sliding_window", "layer_types", "attn_logit_softcapping",
                                         "query_pre_attn_scalar", NULL};

/* Null is no cap; an absent key is the reference's 50. */
static sd_status read_softcap(const sd_config *config, double *softcap)
{
    sd_status  st    = SD_OK;
    const char key[] = "attn_logit_softcapping";

    for (int64_t i = 0; i < sd_config_count(config); i++)
        if (strcmp(sd_config_key(config, i), key) == 0) *softcap = 0;
    SD_TRY(sd_config_real(config, key, 1e-9, 1e9, softcap));

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
                      .softcap     = 50,
                      .rope.theta  = 10000};
    SD_TRY(sd_refuse_keys(config, "gemma2", understood));
    SD_TRY(sd_read_sizes(config, out));
    SD_TRY(sd_read_activation(config, "hidden_activation", &out->act));
    SD_TRY(sd_config_real(config, "rms_norm_eps", 0.0, 1.0, &out->norm_eps));
    SD_TRY(sd_config_bool(config, "tie_word_embeddings", &out->tied));
    SD_TRY(sd_config_bool(config, "attention_bias", &out->attention_bias));
    SD_TRY(sd_config_real(config, "query_pre_attn_scalar", 1e-9, 1e9, &scalar));
    SD_TRY(read_softcap(config, &out->softcap));
    SD_TRY(sd_read_windows(config, 2, out));
    SD_TRY(sd_find_rope_section(config, &section));
    SD_TRY(sd_read_rope(config, section, "rope_theta", &out->rope));
    out->local_rope = out->rope;
    SD_TRY(sd_read_bos(config, &out->bos));
    out->attention_scale = 1 / sqrt(scalar);
    out->embedding_scale = sqrt((double)out->d);

done:
    return st;
}

extern const sd_family sd_family_gemma2;

const sd_family sd_family_gemma2 = {
    .name          = "gemma2",
    .architectures = {"Gemma2ForCausalLM"},
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
