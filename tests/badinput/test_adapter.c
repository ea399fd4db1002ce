/* Adapters that do not fit their base, or do what is not supported, are refused by key or tensor.
 */
#include <string.h>

#include "io/checkpoint.h"
#include "tests/support/shortage.h"
#include "tests/support/tensors.h"

#define AT "base_model.model."
#define Q AT "model.layers.0.self_attn.q_proj"

static const char *const file = "a/adapter_model.safetensors";

/* The base: q_proj is 8 x 4, the embedding 5 x 4, biases are there. */
static void make_base(const char *folder)
{
    tensors t = {0};
    char    name[256];

    scratch_folder(folder);
    snprintf(name, sizeof name, "%s/model.safetensors", folder);
    tensors_llama(&t, name, 1, true);
    snprintf(name, sizeof name, "%s/config.json", folder);
    tensors_config(name, 1, ", \"attention_bias\": true, \"mlp_bias\": true");
}

/* adapter_config.json; `more` is further keys in front, "\"key\": value, ". */
static void config(const char *more)
{
    char text[1024];

    snprintf(text, sizeof text,
             "{%s\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4, "
             "\"base_model_name_or_path\": \"../base\"}",
             more);
    scratch_text("a/adapter_config.json", text);
}

typedef struct {
    const char *name;
    int64_t     rows, cols;
} shape;

/* The adapter's tensors, up to the first without a name. */
static void write_tensors(const shape *list, const char *dtype)
{
    tensors t = {.dtype = dtype};

    for (; list->name != NULL; list++) tensors_add(&t, list->name, list->rows, list->cols);
    strcat(t.header, t.header[0] == '\0' ? "{}" : "}");
    tensors_write_raw(file, strlen(t.header), t.header, t.data, t.used);
}

static void good(void)
{
    config("");
    write_tensors((shape[]){{Q ".lora_A.weight", 2, 4}, {Q ".lora_B.weight", 8, 2}, {0}}, "F32");
}

static void opens(const char *path, const char *base)
{
    sd_checkpoint *c = NULL;

    sd_clear();
    CHECK(sd_checkpoint_open_adapted(path, base, &c) == SD_OK);
    CHECK(c != NULL && sd_checkpoint_count(c) == 18 && sd_checkpoint_base(c) != NULL);
    if (c == NULL) fprintf(stderr, "%s: %s\n", path, sd_message());
    sd_checkpoint_close(&c);
}

static void refused_with(const char *path, const char *base, const char *want)
{
    sd_checkpoint *c = NULL;

    sd_clear();
    CHECK(sd_checkpoint_open_adapted(path, base, &c) == SD_ERR_INPUT && c == NULL);
    CHECK(strcmp(sd_message(), want) == 0);
    if (strcmp(sd_message(), want) != 0)
        fprintf(stderr, "says '%s'\nwant '%s'\n", sd_message(), want);
    sd_checkpoint_close(&c);
}

static void refused(const char *want)
{
    refused_with(scratch_path("a"), NULL, want);
}

/* ---- adapter_config.json ---- */

static void refused_key(const char *more, const char *want)
{
    good();
    config(more);
    refused(want);
}

static void keys_that_change_the_effect_are_refused(void)
{
    static const char *const keys[] = {
        "\"use_dora\": true",         "\"target_parameters\": [\"w\"]",
        "\"use_qalora\": true",       "\"trainable_token_indices\": [1]",
        "\"a_new_idea\": 0",          "\"layer_replication\": [[0, 2]]",
        "\"kasa_config\": {\"a\": 1}"};

    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        char more[128], want[256];

        snprintf(more, sizeof more, "%s, ", keys[k]);
        snprintf(want, sizeof want,
                 "adapter_config.json: '%.*s' changes the adapter's effect and is not supported; "
                 "merge it into its base by PEFT, if it can be",
                 (int)(strchr(keys[k] + 1, '"') - keys[k] - 1), keys[k] + 1);
        refused_key(more, want);
    }
    config("\"use_dora\": false, \"kasa_config\": null, \"a_new_idea\": [], \"b\": {}, ");
    opens(scratch_path("a"), NULL);
}

static void other_kinds_are_refused(void)
{
    good();
    scratch_text("a/adapter_config.json", "{\"peft_type\": \"IA3\"}");
    refused("adapter_config.json: 'peft_type' is \"IA3\", which is not supported, want \"LORA\"; "
            "merge it into its base by PEFT, if it can be");
    scratch_text("a/adapter_config.json", "{\"r\": 2}");
    refused("adapter_config.json: has no 'peft_type'");
    scratch_text("a/adapter_config.json", "[]");
    refused("adapter_config.json: is a JSON array, want an object {...}");
    refused_key("\"init_lora_weights\": \"pissa_niter_4\", ",
                "adapter_config.json: 'init_lora_weights' is \"pissa_niter_4\", which changes the "
                "base itself; convert the adapter by PEFT: save_pretrained(OUT, "
                "path_initial_model_for_weight_conversion=...)");
    refused_key("\"init_lora_weights\": 3, ",
                "adapter_config.json: 'init_lora_weights' is 3, which changes the base itself; "
                "convert the adapter by PEFT: save_pretrained(OUT, "
                "path_initial_model_for_weight_conversion=...)");
    config("\"init_lora_weights\": \"gaussian\", ");
    opens(scratch_path("a"), NULL);
}

static void numbers_out_of_range_are_refused(void)
{
    refused_key("\"rank_pattern\": {\"q_proj\": 0}, ",
                "adapter_config.json: 'q_proj' is 0, want a whole number in [1, 65536]");
    refused_key("\"rank_pattern\": {\"q_proj\": 2.0}, ",
                "adapter_config.json: 'q_proj' is 2.0, want a whole number in [1, 65536]");
    refused_key("\"rank_pattern\": [1], ", "adapter_config.json: 'rank_pattern' is no object");
    refused_key("\"alpha_pattern\": {\"q_proj\": \"1\"}, ",
                "adapter_config.json: 'q_proj' is \"1\", want a number in [-1e9, 1e9]");
    refused_key("\"alpha_pattern\": {\"q_proj\": 1e10}, ",
                "adapter_config.json: 'q_proj' is 10000000000.0, want a number in [-1e9, 1e9]");
    refused_key("\"use_rslora\": 1, ",
                "adapter_config.json: 'use_rslora' is 1, want true or false");
    scratch_text("a/adapter_config.json", "{\"peft_type\": \"LORA\", \"r\": 2}");
    refused("adapter_config.json: has no 'lora_alpha'");
    scratch_text("a/adapter_config.json", "{\"peft_type\": \"LORA\", \"r\": -1}");
    refused("adapter_config.json: 'r' is -1, want a whole number in [1, 65536]");
}

static void a_pattern_that_is_none_is_refused(void)
{
    sd_checkpoint *c = NULL;

    good();
    config("\"rank_pattern\": {\"q_proj(\": 2}, ");
    sd_clear();
    CHECK(sd_checkpoint_open(scratch_path("a"), &c) == SD_ERR_INPUT);
    CHECK(strncmp(sd_message(), "adapter_config.json: ", 21) == 0);
}

/* Of 16 MiB there could be half a million, each of some KiB when compiled. */
static void patterns_have_a_number_that_can_be_tried(void)
{
    for (int more = 0; more < 2; more++) {
        FILE *out = fopen(scratch_path("a/adapter_config.json"), "w");

        scratch_need(out != NULL, "adapter_config.json");
        fputs("{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4, "
              "\"base_model_name_or_path\": \"../base\", \"alpha_pattern\": {\"m0\": 1",
              out);
        for (int k = 1; k < 4096 + more; k++) fprintf(out, ", \"m%d\": 1", k);
        fputs("}}", out);
        scratch_need(fclose(out) == 0, "adapter_config.json");
        if (more == 0)
            opens(scratch_path("a"), NULL);
        else
            refused("adapter_config.json: 'alpha_pattern' has 4097 patterns, want at most 4096; "
                    "merge the adapter into its base by PEFT");
    }
}

/* ---- tensors ---- */

static void refused_tensors(const shape *list, const char *want)
{
    config("");
    write_tensors(list, "F32");
    refused(want);
}

#define FILE_IS "adapter_model.safetensors: "
#define FIT " by the rank in adapter_config.json and by the base"

static void factors_that_do_not_fit_are_refused(void)
{
    refused_tensors((shape[]){{Q ".lora_A.weight", 2, 4}, {0}},
                    FILE_IS "tensor '" Q ".lora_A.weight' has no lora_B beside it");
    refused_tensors((shape[]){{Q ".lora_B.weight", 8, 2}, {0}},
                    FILE_IS "tensor '" Q ".lora_B.weight' has no lora_A beside it");
    refused_tensors((shape[]){{AT "model.embed_tokens.lora_embedding_A", 2, 5}, {0}},
                    FILE_IS "tensor '" AT "model.embed_tokens.lora_embedding_A' has no "
                            "lora_embedding_B beside it");
    refused_tensors((shape[]){{Q ".lora_A.weight", 3, 4}, {Q ".lora_B.weight", 8, 3}, {0}},
                    FILE_IS "tensor '" Q ".lora_A.weight' does not fit, want 2 x 4" FIT);
    refused_tensors((shape[]){{Q ".lora_A.weight", 2, 8}, {Q ".lora_B.weight", 4, 2}, {0}},
                    FILE_IS "tensor '" Q ".lora_A.weight' does not fit, want 2 x 4" FIT);
    refused_tensors((shape[]){{Q ".lora_A.weight", 2, 4}, {Q ".lora_B.weight", 2, 8}, {0}},
                    FILE_IS "tensor '" Q ".lora_B.weight' does not fit, want 8 x 2" FIT);
    refused_tensors((shape[]){{Q ".lora_A.weight", 8, 0}, {Q ".lora_B.weight", 8, 2}, {0}},
                    FILE_IS "tensor '" Q ".lora_A.weight' does not fit, want 2 x 4" FIT);
    refused_tensors((shape[]){{AT "model.norm.lora_A.weight", 2, 4},
                              {AT "model.norm.lora_B.weight", 4, 2},
                              {0}},
                    FILE_IS "tensor '" AT "model.norm.lora_A.weight' changes 'model.norm.weight', "
                            "which is no matrix of numbers in the base");
    refused_tensors(
        (shape[]){
            {Q ".lora_A.weight", 2, 4}, {Q ".lora_B.bias", 7, 0}, {Q ".lora_B.weight", 8, 2}, {0}},
        FILE_IS "tensor '" Q ".lora_B.bias' does not fit "
                "'model.layers.0.self_attn.q_proj.bias' of the base");
    config("");
    write_tensors((shape[]){{Q ".lora_A.weight", 2, 4}, {Q ".lora_B.weight", 8, 2}, {0}}, "I16");
    refused(FILE_IS "tensor '" Q ".lora_A.weight' or its other half is stored as no numbers, want "
                    "F32, F16, BF16 or F64");
}

static void tensors_of_another_model_are_refused(void)
{
    static const char *const names[] = {AT "model.layers.1.self_attn.q_proj.lora_A.weight",
                                        AT "lm_head.weight",
                                        Q ".lora_A.default.weight",
                                        Q ".lora_magnitude_vector",
                                        "model.layers.0.self_attn.q_proj.lora_A.weight",
                                        AT,
                                        AT ".lora_A.weight"};

    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char want[512];

        snprintf(want, sizeof want,
                 FILE_IS "tensor '%s' changes nothing that the base has: the adapter is of another "
                         "model, or does what is not supported",
                 names[k]);
        refused_tensors((shape[]){{names[k], 2, 4}, {0}}, want);
    }
    refused_tensors((shape[]){{0}}, "the adapter has no tensors; copy it again");
}

static void whole_tensors_have_the_base_s_shape(void)
{
    refused_tensors((shape[]){{AT "model.embed_tokens.weight", 6, 4}, {0}},
                    FILE_IS "tensor '" AT "model.embed_tokens.weight' has another shape than "
                            "'model.embed_tokens.weight' of the base, or no numbers: the "
                            "vocabulary was resized, or the adapter is of another model");
    refused_tensors((shape[]){{Q ".base_layer.bias", 8, 0}, {Q ".bias", 8, 0}, {0}},
                    FILE_IS "tensors '" Q ".base_layer.bias' and '" Q ".bias' are for the same");
}

/* ---- files and the base ---- */

static void what_is_missing_is_named(void)
{
    good();
    scratch_remove(file);
    refused("adapter_model.safetensors: is missing; copy it again");
    tensors_write(file, "{}", 1);
    refused("adapter_model.safetensors: has 1 bytes after its last tensor; copy it again");
    good();
    scratch_text("a/adapter_config.json", "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4, "
                                          "\"base_model_name_or_path\": null}");
    refused("adapter_config.json: names no base; give it by 'base' of the run, or by --base");
    opens(scratch_path("a"), scratch_path("base"));
    scratch_text("a/adapter_config.json", "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4, "
                                          "\"base_model_name_or_path\": \"org/tiny\"}");
    refused("adapter_config.json: its base 'org/tiny' is not found; give it by 'base' of the run, "
            "or by --base");
    good();
    scratch_folder("none");
    char want[1024];
    snprintf(want, sizeof want, "its base '%s': no such file or folder", scratch_path("gone"));
    refused_with(scratch_path("a"), scratch_path("gone"), want);
    snprintf(want, sizeof want,
             "its base '%s': is an adapter itself; merge it by PEFT: merge_and_unload()",
             scratch_path("a"));
    refused_with(scratch_path("a"), scratch_path("a"), want);
}

/* In the hub's cache the base lies beside the adapter's model; elsewhere beside its folder. */
static void a_base_of_the_hub_is_found_near(void)
{
    static const char *const commit = "0123456789abcdef0123456789abcdef01234567";
    char                     path[256];

    scratch_folder("models--org--tiny");
    scratch_folder("models--org--tiny/refs");
    scratch_folder("models--org--tiny/snapshots");
    snprintf(path, sizeof path, "models--org--tiny/snapshots/%s", commit);
    make_base(path);
    scratch_text("models--org--tiny/refs/v2", commit);
    for (int revised = 0; revised < 2; revised++) {
        char text[512];

        snprintf(text, sizeof text,
                 "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4, "
                 "\"base_model_name_or_path\": \"org/tiny\", \"revision\": %s}",
                 revised ? "\"v2\"" : "null");
        good();
        scratch_text("a/adapter_config.json", text);
        opens(scratch_path("a"), NULL);
    }
    scratch_folder("models--me--lora");
    scratch_folder("models--me--lora/blobs");
    scratch_folder("models--me--lora/snapshots");
    snprintf(path, sizeof path, "models--me--lora/snapshots/%s", commit);
    scratch_need(rename(scratch_path("a"), scratch_path(path)) == 0, "rename");
    opens(scratch_path(path), NULL);
    opens(scratch_path("models--me--lora"), NULL);
    scratch_need(rename(scratch_path(path), scratch_path("a")) == 0, "rename");
}

static sd_status open_once(void)
{
    sd_status      st = SD_OK;
    sd_checkpoint *c  = NULL;
    char           bytes[64];

    SD_TRY(sd_checkpoint_open(scratch_path("a"), &c));
    const int64_t q = sd_checkpoint_find(c, "model.layers.0.self_attn.q_proj.weight");
    SD_TRY(sd_checkpoint_read(c, q, 5, 59, bytes));

done:
    sd_checkpoint_close(&c);
    return st;
}

int main(void)
{
    scratch_open();
    make_base("base");
    scratch_folder("a");
    good();
    opens(scratch_path("a"), NULL);
    keys_that_change_the_effect_are_refused();
    other_kinds_are_refused();
    numbers_out_of_range_are_refused();
    a_pattern_that_is_none_is_refused();
    patterns_have_a_number_that_can_be_tried();
    factors_that_do_not_fit_are_refused();
    tensors_of_another_model_are_refused();
    whole_tensors_have_the_base_s_shape();
    what_is_missing_is_named();
    a_base_of_the_hub_is_found_near();
    good();
    config("\"rank_pattern\": {\"q_proj\": 2}, ");
    walk_shortages(open_once);
    write_tensors((shape[]){{AT "model.embed_tokens.lora_embedding_A", 2, 5},
                            {AT "model.embed_tokens.lora_embedding_B", 4, 2},
                            {0}},
                  "F32");
    config("");
    walk_shortages(open_once);
    scratch_close();
    return REPORT();
}
