/* Llama's configs: both layouts of transformers are read alike; what changes numbers is refused. */
#include <string.h>

#include "tests/support/changed_config.h"
#include "tests/support/check.h"

/* A good config; each case replaces one key of it, or takes it out with NULL. */
static const char *const base =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"vocab_size\": 100,"
    " \"hidden_size\": 24, \"intermediate_size\": 40, \"num_hidden_layers\": 3,"
    " \"num_attention_heads\": 6, \"max_position_embeddings\": 512}";

static sd_status read_changed(const char *change, sd_model *out)
{
    return config_changed(base, change, out);
}

static void absent_keys_have_the_reference_defaults(void)
{
    sd_model m;

    CHECK(read_changed("{}", &m) == SD_OK);
    CHECK(m.n_layers == 3 && m.d == 24 && m.f == 40 && m.vocab == 100);
    CHECK(m.n_heads == 6 && m.n_kv == 6 && m.d_head == 4);
    CHECK(m.wiring == SD_WIRING_SEQUENTIAL && m.act == SD_ACT_SILU && m.norm_eps == 1e-6);
    CHECK(!m.tied && !m.attention_bias && !m.ffn_bias && m.bos == -1);
    CHECK(m.rope.kind == SD_ROPE_DEFAULT && m.rope.theta == 10000.0);
}

static void every_key_is_read(void)
{
    sd_model m;

    CHECK(
        read_changed("{\"num_key_value_heads\": 2, \"head_dim\": 10, \"rms_norm_eps\": 1e-5,"
                     " \"tie_word_embeddings\": true, \"attention_bias\": true, \"mlp_bias\": true,"
                     " \"hidden_act\": \"relu2\", \"bos_token_id\": 5, \"rope_theta\": 5e5,"
                     " \"pretraining_tp\": 2, \"use_cache\": true, \"sliding_window\": null,"
                     " \"layer_types\": [\"full_attention\"], \"partial_rotary_factor\": 1.0}",
                     &m) == SD_OK);
    CHECK(m.n_kv == 2 && m.d_head == 10 && m.norm_eps == 1e-5 && m.tied);
    CHECK(m.attention_bias && m.ffn_bias && m.act == SD_ACT_RELU_SQUARED && m.bos == 5);
    CHECK(m.rope.theta == 5e5);
    CHECK(read_changed("{\"hidden_act\": \"gelu_new\", \"bos_token_id\": [7, 8]}", &m) == SD_OK);
    CHECK(m.act == SD_ACT_GELU_TANH && m.bos == 7);
    CHECK(read_changed("{\"bos_token_id\": null, \"rope_scaling\": null}", &m) == SD_OK);
    CHECK(m.bos == -1 && m.rope.kind == SD_ROPE_DEFAULT);
}

static void both_layouts_of_rotary_positions_are_read(void)
{
    static const char *const linear[] = {
        "{\"rope_theta\": 7e4, \"rope_scaling\": {\"type\": \"linear\", \"factor\": 4}}",
        "{\"rope_theta\": 7e4, \"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 4.0}}",
        "{\"rope_parameters\": {\"rope_theta\": 7e4, \"rope_type\": \"linear\", \"factor\": 4.0}}",
        ("{\"rope_theta\": 3, \"rope_parameters\": {\"rope_theta\": 7e4, \"rope_type\": \"linear\","
         " \"factor\": 4.0}}"),
    };
    static const char *const llama3[] = {
        ("{\"rope_theta\": 5e5, \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0,"
         " \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0,"
         " \"original_max_position_embeddings\": 512}}"),
        ("{\"rope_parameters\": {\"rope_theta\": 5e5, \"rope_type\": \"llama3\", \"factor\": 8.0,"
         " \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0}}"),
        ("{\"original_max_position_embeddings\": 512, \"max_position_embeddings\": 4096,"
         " \"rope_parameters\": {\"rope_theta\": 5e5, \"rope_type\": \"llama3\", \"factor\": 8.0,"
         " \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0}}"),
    };
    sd_model m;

    for (size_t k = 0; k < sizeof linear / sizeof linear[0]; k++) {
        CHECK(read_changed(linear[k], &m) == SD_OK);
        CHECK(m.rope.kind == SD_ROPE_LINEAR && m.rope.theta == 7e4 && m.rope.factor == 4.0);
    }
    for (size_t k = 0; k < sizeof llama3 / sizeof llama3[0]; k++) {
        CHECK(read_changed(llama3[k], &m) == SD_OK);
        CHECK(m.rope.kind == SD_ROPE_LLAMA3 && m.rope.theta == 5e5 && m.rope.factor == 8.0);
        CHECK(m.rope.low_freq_factor == 1.0 && m.rope.high_freq_factor == 4.0);
        CHECK(m.rope.original_positions == 512);
    }
}

/* What is put over the good config, and what is said of it. */
static const struct {
    const char *change, *want;
} refusals[] = {
    {"{\"architectures\": [\"MambaForCausalLM\"]}",
     "config.json: the architecture \"MambaForCausalLM\" is not supported; known are: "},
    {"{\"architectures\": null}", "config.json: names no 'architectures'; known are: "},
    {"{\"architectures\": \"LlamaForCausalLM\"}",
     "config.json: 'architectures' is \"LlamaForCausalLM\", want an array of strings"},
    {"{\"model_type\": \"mistral\"}",
     "config.json: 'model_type' is \"mistral\", which contradicts 'architectures', want \"llama\""},
    {"{\"num_hidden_layers\": \"12\"}",
     "config.json: 'num_hidden_layers' is \"12\", want an integer in [1, 100000]"},
    {"{\"num_hidden_layers\": 0}",
     "config.json: 'num_hidden_layers' is 0, want an integer in [1, 100000]"},
    {"{\"num_hidden_layers\": 100001}",
     "config.json: 'num_hidden_layers' is 100001, want an integer in [1, 100000]"},
    {"{\"hidden_size\": null}", "config.json: has no 'hidden_size'"},
    {"{\"hidden_size\": 1048577}",
     "config.json: 'hidden_size' is 1048577, want an integer in [1, 1048576]"},
    {"{\"intermediate_size\": -1}",
     "config.json: 'intermediate_size' is -1, want an integer in [1, 16777216]"},
    {"{\"vocab_size\": 1e3}",
     "config.json: 'vocab_size' is 1000.0, want an integer in [1, 2147483647]"},
    {"{\"hidden_size\": 25}",
     "config.json: 'hidden_size' is 25, want a multiple of 'num_attention_heads', 6, or a "
     "'head_dim'"},
    {"{\"num_key_value_heads\": 4}",
     "config.json: 'num_attention_heads' is 6, want a multiple of 'num_key_value_heads', 4"},
    {"{\"num_key_value_heads\": 12}",
     "config.json: 'num_attention_heads' is 6, want a multiple of 'num_key_value_heads', 12"},
    {"{\"head_dim\": 5}", "config.json: a head has 5 channels, want an even number: rotary "
                          "positions turn them in pairs"},
    {"{\"hidden_size\": 18}", "config.json: a head has 3 channels, want an even number: rotary "
                              "positions turn them in pairs"},
    {"{\"hidden_act\": \"mish\"}",
     "config.json: 'hidden_act' is \"mish\", which is not supported; known are silu, gelu, "
     "gelu_new, gelu_pytorch_tanh, relu and relu2"},
    {"{\"rms_norm_eps\": -1}", "config.json: 'rms_norm_eps' is -1, want a number in [0, 1]"},
    {"{\"attention_bias\": 1}", "config.json: 'attention_bias' is 1, want true or false"},
    {"{\"rope_theta\": 0}", "config.json: 'rope_theta' is 0, want a number in [1, 1e+15]"},
    {"{\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}}",
     "config.json: 'rope_scaling' has the type \"dynamic\", which is not supported; known are "
     "default, linear and llama3"},
    {"{\"rope_parameters\": {\"rope_type\": \"yarn\", \"factor\": 2}}",
     "config.json: 'rope_parameters' has the type \"yarn\", which is not supported; known are "
     "default, linear and llama3"},
    {"{\"rope_scaling\": {\"rope_type\": \"longrope\"}}",
     "config.json: 'rope_scaling' has the type \"longrope\", which is not supported; known are "
     "default, linear and llama3"},
    {"{\"rope_scaling\": {\"rope_type\": \"linear\"}}",
     "config.json: has no 'rope_scaling.factor'"},
    {"{\"rope_scaling\": 7}", "config.json: 'rope_scaling' is 7, want an object"},
    {"{\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 0.5}}",
     "config.json: 'rope_scaling.factor' is 0.5, want a number in [1, 1e+09]"},
    {"{\"rope_parameters\": {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4,"
     " \"high_freq_factor\": 4}}",
     "config.json: 'rope_parameters.low_freq_factor' is 4, want less than 'high_freq_factor', 4"},
    {"{\"rope_scaling\": {\"type\": \"default\"}, \"rope_parameters\": {\"rope_theta\": 3}}",
     "config.json: has both 'rope_scaling' and 'rope_parameters'; keep the one that was trained "
     "with"},
    {"{\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 3}}}",
     "config.json: 'rope_parameters.full_attention' changes the model's numbers and is not "
     "supported"},
    {"{\"rope_parameters\": {\"partial_rotary_factor\": 0.5}}",
     "config.json: 'rope_parameters.partial_rotary_factor' changes the model's numbers and is not "
     "supported"},
    {"{\"partial_rotary_factor\": 0.5}",
     "config.json: 'partial_rotary_factor' changes the model's numbers and is not supported"},
    {"{\"quantization_config\": {\"bits\": 4}}",
     "config.json: 'quantization_config' changes the model's numbers and is not supported"},
    {"{\"sliding_window\": 4096}",
     "config.json: 'sliding_window' changes the model's numbers and is not supported"},
    {"{\"residual_multiplier\": 0.22}",
     "config.json: 'residual_multiplier' changes the model's numbers and is not supported"},
    {"{\"use_qk_norm\": true}",
     "config.json: 'use_qk_norm' changes the model's numbers and is not supported"},
    {"{\"layer_types\": [\"full_attention\", \"sliding_attention\"]}",
     "config.json: 'layer_types' holds \"sliding_attention\", which is not supported, want "
     "full_attention"},
    {"{\"bos_token_id\": \"<s>\"}",
     "config.json: 'bos_token_id' is \"<s>\", want an integer in [-1, 2147483647]"},
};

/* What ends with "known are: " is followed by the families that there are. */
static bool is_said(const char *want)
{
    const size_t n = strlen(want);

    if (want[n - 1] != ' ') return strcmp(sd_message(), want) == 0;
    return strncmp(sd_message(), want, n) == 0 && strstr(sd_message(), "LlamaForCausalLM") != NULL;
}

static void what_cannot_be_done_is_refused_by_name(void)
{
    sd_model m;

    for (size_t k = 0; k < sizeof refusals / sizeof refusals[0]; k++) {
        CHECK(read_changed(refusals[k].change, &m) == SD_ERR_INPUT);
        if (is_said(refusals[k].want)) continue;
        check_failures++;
        fprintf(stderr, "%s:\n  says '%s'\n  want '%s'\n", refusals[k].change, sd_message(),
                refusals[k].want);
    }
}

int main(void)
{
    absent_keys_have_the_reference_defaults();
    every_key_is_read();
    both_layouts_of_rotary_positions_are_read();
    what_cannot_be_done_is_refused_by_name();
    return REPORT();
}
