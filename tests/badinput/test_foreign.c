/* What live training and other programs write is known, and the line says how to convert it. */
#include <string.h>

#include "io/checkpoint.h"
#include "tests/support/check.h"
#include "tests/support/tensors.h"

/* What lies in a folder, and what its line names: the kind, and the converter or the way out. */
static const struct {
    const char *file[3], *kind, *converter;
} cases[] = {
    {{"layer_00-model_00-model_states.pt", "mp_rank_00_model_states.pt"},
     "GPT-NeoX",
     "convert_neox_to_hf.py --input_dir"},
    {{"global_step10/zero_pp_rank_0_mp_rank_00_optim_states.pt", "zero_to_fp32.py"},
     "DeepSpeed ZeRO",
     "zero_to_fp32.py FOLDER OUT --safe_serialization"},
    {{"bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt"}, "DeepSpeed ZeRO", "zero_to_fp32.py"},
    {{"global_step10/mp_rank_00_model_states.pt", "global_step10/zero_pp_rank_0_optim_states.pt"},
     "DeepSpeed ZeRO",
     "zero_to_fp32.py"},
    {{"mp_rank_00_model_states.pt"}, "DeepSpeed ZeRO", "zero_to_fp32.py"},
    {{"iter_0005000/mp_rank_00/model_optim_rng.pt"}, "Megatron", "convert_checkpoints.py export"},
    {{"mp_rank_00/model_optim_rng.pt"}, "Megatron", "convert_checkpoints.py export"},
    {{".metadata", "__0_0.distcp", "common.pt"}, "Megatron", "convert_checkpoints.py export"},
    {{"llama.nemo"}, "NeMo", "nemo llm export"},
    {{"context/model.yaml", "weights/.metadata"}, "NeMo", "nemo llm export"},
    {{"pytorch_model_fsdp_0/.metadata", "pytorch_model_fsdp_0/__0_0.distcp"},
     "accelerate",
     "accelerate merge-weights FOLDER/pytorch_model_fsdp_0"},
    {{".metadata", "__0_0.distcp"}, "torch.distributed", "format_utils dcp_to_torch FOLDER"},
    {{"__0_0.distcp"}, "torch.distributed", "format_utils dcp_to_torch FOLDER"},
    {{"config.json", "model_and_optim/.metadata", "model_and_optim/__0_0.distcp"},
     "OLMo-core",
     "convert_checkpoint_to_hf.py -i FOLDER -o OUT"},
    {{"checkpoint_metadata.json", "model_config.json"}, "nanotron", "convert_nanotron_to_hf.py"},
    {{"lit_model.pth", "model_config.yaml"}, "LitGPT", "litgpt convert_from_litgpt FOLDER OUT"},
    {{"_CHECKPOINT_METADATA", "_METADATA"}, "Orbax", "export it to safetensors"},
    {{"manifest.ocdbt"}, "Orbax", "export it to safetensors"},
    {{"flax_model.msgpack", "config.json"}, "Flax", "from_flax=True"},
    {{"tf_model.h5", "config.json"}, "TensorFlow", "from_tf=True"},
    {{"consolidated.00.pth", "params.json"}, "Meta", "convert_llama_weights_to_hf"},
    {{"weights.npz", "config.json"}, "MLX", "the model that it was made from"},
    {{"model.onnx"}, "ONNX", "the model that it was made from"},
    {{"onnx/model.onnx", "config.json"}, "ONNX", "the model that it was made from"},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static void make_file(const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "folder/%s", name);
    for (char *slash = strchr(path + 7, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(scratch_path(path), 0777); /* may be there */
        *slash = '/';
    }
    scratch_text(path, "{}");
}

static void says(const char *path, const char *kind, const char *converter)
{
    sd_checkpoint *c = NULL;

    sd_clear();
    CHECK(sd_checkpoint_open(path, &c) == SD_ERR_INPUT && c == NULL);
    const bool right =
        strstr(sd_message(), kind) != NULL && strstr(sd_message(), converter) != NULL;
    CHECK(right);
    if (!right) fprintf(stderr, "%s: says '%s'\n", kind, sd_message());
}

static void each_kind_names_its_converter(void)
{
    for (int k = 0; k < N_CASES; k++) {
        scratch_folder("folder");
        for (int i = 0; i < 3 && cases[k].file[i] != NULL; i++) make_file(cases[k].file[i]);
        says(scratch_path("folder"), cases[k].kind, cases[k].converter);
        scratch_remove_tree(AT_FDCWD, scratch_path("folder"));
    }
}

static void a_file_of_it_says_the_same(void)
{
    scratch_folder("folder");
    make_file("flax_model.msgpack");
    says(scratch_path("folder/flax_model.msgpack"), "flax_model.msgpack: belongs to a Flax model; ",
         "from_flax=True");
    make_file("model.onnx");
    says(scratch_path("folder/model.onnx"), "model.onnx: belongs to an ONNX model; ",
         "use the model that it was made from");
    scratch_remove_tree(AT_FDCWD, scratch_path("folder"));
}

/* Trainers leave their own files beside weights that can be read. */
static void weights_beside_them_are_read(void)
{
    tensors        t = {0};
    sd_checkpoint *c = NULL;

    scratch_folder("folder");
    make_file("zero_to_fp32.py");
    make_file("global_step5/zero_pp_rank_0_mp_rank_00_optim_states.pt");
    tensors_llama(&t, "folder/model.safetensors", 1, false);
    tensors_config("folder/config.json", 1, "");
    CHECK(sd_checkpoint_open(scratch_path("folder"), &c) == SD_OK);
    sd_checkpoint_close(&c);
    scratch_remove_tree(AT_FDCWD, scratch_path("folder"));
}

static void a_name_that_is_only_like_one_is_none(void)
{
    scratch_folder("folder");
    make_file("metadata");
    make_file("commons.pt");
    make_file("zero_to_fp16.py");
    make_file("step_5/notes.txt");
    says(scratch_path("folder"), "the folder has neither model.safetensors",
         "name the file itself if it has another name");
    scratch_remove_tree(AT_FDCWD, scratch_path("folder"));
}

/* Links that lead back to the folder make a million paths of some thousand names: the search ends
 * before them (without that, not within the time that a test has). */
static void links_in_a_circle_end(void)
{
    scratch_folder("folder");
    for (int k = 0; k < 3000; k++) {
        char name[64];

        snprintf(name, sizeof name, "folder/%s_%d", k % 2 == 0 ? "iter" : "mp_rank", k);
        scratch_need(symlink(".", scratch_path(name)) == 0, name);
    }
    says(scratch_path("folder"), "the folder has neither model.safetensors",
         "name the file itself if it has another name");
    scratch_remove_tree(AT_FDCWD, scratch_path("folder"));
}

int main(void)
{
    scratch_open();
    each_kind_names_its_converter();
    a_file_of_it_says_the_same();
    weights_beside_them_are_read();
    a_name_that_is_only_like_one_is_none();
    links_in_a_circle_end();
    scratch_close();
    return REPORT();
}
