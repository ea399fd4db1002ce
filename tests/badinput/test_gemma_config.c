/* Gemma's configs, old and new layout: read as the reference does; what it cannot be is refused. */
#include <math.h>
#include <string.h>

#include "tests/support/changed_config.h"
#include "tests/support/check.h"

/* Only what has no default; each case changes it. */
#define SIZES                                                                                      \
    "\"vocab_size\": 100, \"hidden_size\": 48, \"intermediate_size\": 40, "                        \
    "\"num_hidden_layers\": 7, \"num_attention_heads\": 16"

static const char *const one   = "{\"architectures\": [\"GemmaForCausalLM\"], " SIZES "}";
static const char *const two   = "{\"architectures\": [\"Gemma2ForCausalLM\"], " SIZES "}";
static const char *const three = "{\"architectures\": [\"Gemma3ForCausalLM\"], " SIZES "}";

static void what_all_have_in_common(void)
{
    const char *const each[] = {one, two, three};
    sd_model          m;

    for (int k = 0; k < 3; k++) {
        CHECK(config_changed(each[k], "{}", &m) == SD_OK);
        CHECK(m.norm_offset == 1 && m.embedding_scale == sqrt(48) && m.tied && m.d_head == 256);
        CHECK(m.act == SD_ACT_GELU_TANH && m.norm_eps == 1e-6 && !m.attention_bias && m.bos == -1);
        CHECK(m.n_heads == 16 && m.n_kv == (k == 0 ? 16 : 4) && !m.ffn_bias);
        CHECK(config_changed(each[k],
                             "{\"head_dim\": 6, \"num_key_value_heads\": 2, \"bos_token_id\": 2, "
                             "\"tie_word_embeddings\": false, \"attention_bias\": true, "
                             "\"rms_norm_eps\": 1e-5}",
                             &m) == SD_OK);
        CHECK(m.d_head == 6 && m.n_kv == 2 && m.bos == 2 && !m.tied && m.attention_bias);
        CHECK(m.norm_eps == 1e-5);
    }
}

static void the_first_one_is_a_llama_of_its_own(void)
{
    sd_model m;

    CHECK(config_changed(one, "{\"hidden_act\": \"gelu\"}", &m) == SD_OK);
    CHECK(m.act == SD_ACT_GELU_TANH && m.rope.theta == 10000); /* an old name for the formula */
    CHECK(m.window == 0 && m.softcap == 0 && m.attention_scale == 0);
    CHECK(config_changed(one, "{\"rope_theta\": 500}", &m) == SD_OK && m.rope.theta == 500);
}

/* Layers from 0 in which there is a window, as a text of 0 and 1. */
static void windows_are(const sd_model *m, int64_t window, const char *local)
{
    CHECK(m->window == window && (int64_t)strlen(local) == m->n_layers);
    for (int64_t l = 0; l < m->n_layers; l++) CHECK(sd_model_is_local(m, l) == (local[l] == '1'));
}

static void the_second_one_caps_and_alternates(void)
{
    sd_model m;

    CHECK(config_changed(two, "{}", &m) == SD_OK);
    CHECK(m.softcap == 50 && m.attention_scale == 1.0 / 16 && m.rope.theta == 10000);
    windows_are(&m, 4096, "1010101");
    CHECK(config_changed(two,
                         "{\"attn_logit_softcapping\": 3.5, \"query_pre_attn_scalar\": 144, "
                         "\"sliding_window\": 9, \"rope_theta\": 70, \"layer_types\": "
                         "[\"full_attention\", \"full_attention\", \"full_attention\", "
                         "\"sliding_attention\", \"sliding_attention\", \"full_attention\", "
                         "\"sliding_attention\"]}",
                         &m) == SD_OK);
    CHECK(m.softcap == 3.5 && m.attention_scale == 1.0 / 12);
    CHECK(m.rope.theta == 70 && m.local_rope.theta == 70);
    windows_are(&m, 9, "0001101");
    CHECK(config_changed(two, "{\"attn_logit_softcapping\": null}", &m) == SD_OK && m.softcap == 0);
}

static void the_third_one_has_two_kinds_of_positions(void)
{
    static const char *const layouts[] = {
        "{\"rope_theta\": 7e5, \"rope_local_base_freq\": 300, \"sliding_window_pattern\": 3, "
        "\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 8.0}, \"sliding_window\": 5}",
        "{\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"linear\", \"factor\": 8.0, "
        "\"rope_theta\": 7e5}, \"sliding_attention\": {\"rope_theta\": 300}}, "
        "\"sliding_window_pattern\": 3, \"sliding_window\": 5}",
    };
    sd_model m;

    CHECK(config_changed(three, "{\"model_type\": \"gemma3_text\"}", &m) == SD_OK);
    CHECK(m.softcap == 0 && m.attention_scale == 1.0 / 16);
    CHECK(m.rope.kind == SD_ROPE_DEFAULT && m.rope.theta == 1e6 && m.local_rope.theta == 1e4);
    windows_are(&m, 4096, "1111101");
    for (int k = 0; k < 2; k++) {
        CHECK(config_changed(three, layouts[k], &m) == SD_OK);
        CHECK(m.rope.kind == SD_ROPE_LINEAR && m.rope.theta == 7e5 && m.rope.factor == 8);
        CHECK(m.local_rope.kind == SD_ROPE_DEFAULT && m.local_rope.theta == 300);
        windows_are(&m, 5, "1101101");
    }
}

/* What is put over a good config, and what is said of it. */
static const struct {
    const char *const *base;
    const char        *change, *want;
} refusals[] = {
    {&one, "{\"model_type\": \"gemma2\"}",
     "config.json: 'model_type' is \"gemma2\", which contradicts 'architectures', want \"gemma\""},
    {&one, "{\"sliding_window\": 4}",
     "config.json: 'sliding_window' changes the model's numbers and is not supported"},
    {&three, "{\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 5e5}}",
     "config.json: 'rope_parameters.rope_type' is of no kind of layers, want it in "
     "'full_attention' or 'sliding_attention'"},
    {&two, "{\"use_bidirectional_attention\": true}",
     "config.json: 'use_bidirectional_attention' changes the model's numbers and is not supported"},
    {&two, "{\"hidden_activation\": \"tanh\"}",
     "config.json: 'hidden_activation' is \"tanh\", which is not supported; known are silu, gelu, "
     "gelu_new, gelu_pytorch_tanh, relu and relu2"},
    {&two, "{\"rope_local_base_freq\": 10}",
     "config.json: 'rope_local_base_freq' changes the model's numbers and is not supported"},
    {&two, "{\"layer_types\": [\"full_attention\"]}",
     "config.json: 'layer_types' has fewer entries than 'num_hidden_layers', 7"},
    {&two, "{\"num_hidden_layers\": 1, \"layer_types\": [\"full_attention\", \"full_attention\"]}",
     "config.json: 'layer_types' has more entries than 'num_hidden_layers', 1"},
    {&three, "{\"num_hidden_layers\": 1, \"layer_types\": [\"chunked_attention\"]}",
     "config.json: 'layer_types' holds \"chunked_attention\", which is not supported, want "
     "full_attention or sliding_attention"},
    {&three, "{\"num_hidden_layers\": 513}",
     "config.json: 513 layers with windows are too many, want at most 512"},
    {&three, "{\"sliding_window\": 0}",
     "config.json: 'sliding_window' is 0, want an integer in [1, 2147483647]"},
    {&three, "{\"query_pre_attn_scalar\": 0}",
     "config.json: 'query_pre_attn_scalar' is 0, want a number in [1e-09, 1e+09]"},
    {&three, "{\"attn_logit_softcapping\": 50.0}",
     "config.json: 'attn_logit_softcapping' changes the model's numbers and is not supported"},
    {&three, "{\"rope_scaling\": {\"type\": \"linear\"}, \"rope_parameters\": {}}",
     "config.json: has both 'rope_scaling' and 'rope_parameters'; keep the one that was trained "
     "with"},
    {&three, "{\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"yarn\"}}}",
     "config.json: 'rope_parameters.full_attention' has the type \"yarn\", which is not supported; "
     "known are default, linear and llama3"},
    {&three, "{\"rope_parameters\": {\"sliding_attention\": 5}}",
     "config.json: 'rope_parameters.sliding_attention' is 5, want an object"},
};

static void what_cannot_be_done_is_refused_by_name(void)
{
    sd_model m;

    for (size_t k = 0; k < sizeof refusals / sizeof refusals[0]; k++) {
        CHECK(config_changed(*refusals[k].base, refusals[k].change, &m) == SD_ERR_INPUT);
        if (strcmp(sd_message(), refusals[k].want) == 0) continue;
        check_failures++;
        fprintf(stderr, "%s:\n  says '%s'\n  want '%s'\n", refusals[k].change, sd_message(),
                refusals[k].want);
    }
}

int main(void)
{
    what_all_have_in_common();
    the_first_one_is_a_llama_of_its_own();
    the_second_one_caps_and_alternates();
    the_third_one_has_two_kinds_of_positions();
    what_cannot_be_done_is_refused_by_name();
    return REPORT();
}
