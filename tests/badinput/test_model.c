/* Weights that contradict their config, or hold no numbers, are refused by tensor and place. */
#include <string.h>

#include "io/fingerprint.h"
#include "pipeline/load_block.h"
#include "pipeline/model.h"
#include "tests/support/check.h"
#include "tests/support/tensors.h"

static tensors built;

static sd_status open_and_load(void)
{
    sd_status        st         = SD_OK;
    sd_checkpoint   *checkpoint = NULL;
    sd_loaded_block *block      = NULL;
    const sd_family *family;
    sd_model         model;
    const int32_t    id[] = {0, 1, 2, 3, 4};
    float            rows[5 * 4];

    sd_clear();
    SD_TRY(sd_checkpoint_open(scratch, &checkpoint));
    SD_TRY(sd_model_open(checkpoint, &family, &model));
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        SD_TRY(sd_block_load(checkpoint, family, &model, layer, NULL, NULL, &block));
        sd_loaded_block_destroy(&block);
    }
    SD_TRY(sd_embedding_rows(checkpoint, family, &model, 5, id, rows));

done:
    sd_loaded_block_destroy(&block);
    sd_checkpoint_close(&checkpoint);
    return st;
}

static void refused(const char *want)
{
    CHECK(open_and_load() == SD_ERR_INPUT);
    if (strcmp(sd_message(), want) == 0) return;
    check_failures++;
    fprintf(stderr, "says '%s'\nwant '%s'\n", sd_message(), want);
}

static const struct {
    struct {
        const char *skip, *change, *changed_dtype;
        int64_t     changed_rows;
    } how;
    int         layers, layers_in_config;
    bool        biases;
    const char *config, *want;
} contradictions[] = {
    {{.change = "model.layers.1.mlp.up_proj.weight", .changed_rows = 7},
     2,
     2,
     false,
     "",
     "model.safetensors: tensor 'model.layers.1.mlp.up_proj.weight' is 7 x 4, want 6 x 4"},
    {{.change = "model.layers.0.input_layernorm.weight", .changed_rows = 3},
     2,
     2,
     false,
     "",
     "model.safetensors: tensor 'model.layers.0.input_layernorm.weight' is 3, want 4"},
    {{.change = "model.embed_tokens.weight", .changed_rows = 6},
     2,
     2,
     false,
     "",
     "model.safetensors: tensor 'model.embed_tokens.weight' is 6 x 4, want 5 x 4"},
    {{.change = "model.layers.1.mlp.up_proj.weight", .changed_dtype = "I16"},
     2,
     2,
     false,
     "",
     "model.safetensors: tensor 'model.layers.1.mlp.up_proj.weight' is stored as I16, want F32, "
     "F16, BF16, F64, F8_E4M3 or F8_E5M2"},
    {{.skip = "model.layers.1.self_attn.v_proj.weight"},
     2,
     2,
     false,
     "",
     "the weights have no tensor 'model.layers.1.self_attn.v_proj.weight', which config.json asks "
     "for: config and weights do not belong together"},
    {{.skip = "model.embed_tokens.weight"},
     2,
     2,
     false,
     "",
     "the weights have no tensor 'model.embed_tokens.weight', which config.json asks for: config "
     "and weights do not belong together"},
    {{.skip = NULL},
     2,
     3,
     false,
     "",
     "the weights have no tensor 'model.layers.2.input_layernorm.weight', which config.json asks "
     "for: config and weights do not belong together"},
    {{.skip = NULL},
     2,
     1,
     false,
     "",
     "model.safetensors: tensor 'model.layers.1.input_layernorm.weight' is there, but config.json "
     "has 'num_hidden_layers' 1: config and weights do not belong together"},
    {{.skip = NULL},
     2,
     2,
     true,
     "",
     "model.safetensors: tensor 'model.layers.0.self_attn.q_proj.bias' is there, but config.json "
     "denies this bias: config and weights do not belong together"},
    {{.skip = NULL},
     2,
     2,
     true,
     ", \"attention_bias\": true",
     "model.safetensors: tensor 'model.layers.0.mlp.gate_proj.bias' is there, but config.json "
     "denies this bias: config and weights do not belong together"},
    {{.skip = NULL},
     2,
     2,
     false,
     ", \"mlp_bias\": true",
     "the weights have no tensor 'model.layers.0.mlp.gate_proj.bias', which config.json asks for: "
     "config and weights do not belong together"},
};

static void weights_that_contradict_their_config_are_refused(void)
{
    for (size_t k = 0; k < sizeof contradictions / sizeof contradictions[0]; k++) {
        built = (tensors){.skip          = contradictions[k].how.skip,
                          .change        = contradictions[k].how.change,
                          .changed_dtype = contradictions[k].how.changed_dtype,
                          .changed_rows  = contradictions[k].how.changed_rows};
        tensors_llama(&built, "model.safetensors", contradictions[k].layers,
                      contradictions[k].biases);
        tensors_config("config.json", contradictions[k].layers_in_config, contradictions[k].config);
        refused(contradictions[k].want);
    }
}

/* Puts the bits of a number into an element of a tensor of the written file's only copy. */
static void poison(const char *dtype, const char *name, int64_t element, const void *bits,
                   int64_t size)
{
    char  pattern[128];
    char *found;

    built = (tensors){.dtype = dtype};
    tensors_llama(&built, "model.safetensors", 2, false);
    tensors_config("config.json", 2, "");
    snprintf(pattern, sizeof pattern, "\"%s\"", name);
    found = strstr(built.header, pattern);
    found = found != NULL ? strstr(found, "offsets\":[") : NULL;
    scratch_need(found != NULL, name);
    memcpy(built.data + strtol(found + strlen("offsets\":["), NULL, 10) + element * size, bits,
           (size_t)size);
    tensors_write_raw("model.safetensors", strlen(built.header), built.header, built.data,
                      built.used);
}

static void what_is_not_finite_is_refused_with_its_place(void)
{
    const uint32_t nan32 = UINT32_C(0xffc00001), inf32 = UINT32_C(0x7f800000);
    const uint16_t nan16 = 0x7f81, inf16 = 0xff80, half_inf = 0x7c00;
    const uint64_t nan64 = UINT64_C(0x7ff0000000000001);
    const double   huge  = 1e300;

    poison("F32", "model.layers.1.mlp.up_proj.weight", 23, &nan32, 4);
    refused("model.safetensors: tensor 'model.layers.1.mlp.up_proj.weight' holds NaN at [5, 3]");
    poison("F32", "model.layers.0.post_attention_layernorm.weight", 2, &inf32, 4);
    refused("model.safetensors: tensor 'model.layers.0.post_attention_layernorm.weight' holds an "
            "infinity at [2]");
    poison("BF16", "model.layers.0.self_attn.q_proj.weight", 4, &nan16, 2);
    refused("model.safetensors: tensor 'model.layers.0.self_attn.q_proj.weight' holds NaN at "
            "[1, 0]");
    poison("BF16", "model.layers.0.input_layernorm.weight", 0, &inf16, 2);
    refused(
        "model.safetensors: tensor 'model.layers.0.input_layernorm.weight' holds an infinity at "
        "[0]");
    poison("F16", "model.layers.0.self_attn.k_proj.weight", 15, &half_inf, 2);
    refused("model.safetensors: tensor 'model.layers.0.self_attn.k_proj.weight' holds an infinity "
            "at [3, 3]");
    poison("F64", "model.layers.0.self_attn.o_proj.weight", 9, &nan64, 8);
    refused("model.safetensors: tensor 'model.layers.0.self_attn.o_proj.weight' holds NaN at "
            "[1, 1]");
    poison("F64", "model.layers.0.self_attn.o_proj.weight", 9, &huge, 8);
    refused("model.safetensors: tensor 'model.layers.0.self_attn.o_proj.weight' holds a number "
            "beyond single precision at [1, 1]");
    poison("F32", "model.embed_tokens.weight", 17, &nan32, 4);
    refused("model.safetensors: tensor 'model.embed_tokens.weight' holds NaN at [4, 1]");
}

/* The last number of each format is finite, and stays so. */
static void the_largest_numbers_are_taken(void)
{
    const uint32_t largest32 = UINT32_C(0x7f7fffff);
    const uint16_t largest16 = 0x7f7f, largest_half = 0x7bff;

    poison("F32", "model.layers.1.mlp.up_proj.weight", 3, &largest32, 4);
    CHECK(open_and_load() == SD_OK);
    poison("BF16", "model.layers.1.mlp.up_proj.weight", 3, &largest16, 2);
    CHECK(open_and_load() == SD_OK);
    poison("F16", "model.layers.1.mlp.up_proj.weight", 3, &largest_half, 2);
    CHECK(open_and_load() == SD_OK);
}

static void hashing_a_tensor_looks_for_them_when_asked(void)
{
    const uint32_t nan32      = UINT32_C(0x7fc00000);
    sd_checkpoint *checkpoint = NULL;
    char           hex[SD_XXH128_HEX];

    poison("F32", "model.norm.weight", 3, &nan32, 4);
    CHECK(open_and_load() == SD_OK); /* no block reads the final norm */
    CHECK(sd_checkpoint_open(scratch, &checkpoint) == SD_OK);
    if (checkpoint == NULL) return;
    const int64_t i = sd_checkpoint_find(checkpoint, "model.norm.weight");
    CHECK(sd_tensor_digest(checkpoint, i, false, NULL, hex) == SD_OK);
    CHECK(sd_tensor_digest(checkpoint, i, true, NULL, hex) == SD_ERR_INPUT);
    CHECK(strcmp(sd_message(), "model.safetensors: tensor 'model.norm.weight' holds NaN at [3]") ==
          0);
    sd_checkpoint_close(&checkpoint);
}

int main(void)
{
    scratch_open();
    weights_that_contradict_their_config_are_refused();
    what_is_not_finite_is_refused_with_its_place();
    the_largest_numbers_are_taken();
    hashing_a_tensor_looks_for_them_when_asked();
    scratch_close();
    return REPORT();
}
