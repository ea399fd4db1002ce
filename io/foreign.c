#include "io/foreign.h"

#include <dirent.h>
#include <fnmatch.h>
#include <string.h>

#include "io/file.h"
#include "solvers/base/memory.h"

/*
 * The first row with a mark in the folder speaks, so that what is written on top of something else
 * comes before it: GPT-NeoX and Megatron use DeepSpeed's or torch's files among their own.
 */
static const sd_foreign kinds[] = {
    {"a training checkpoint of GPT-NeoX",
     "convert it: python tools/ckpts/convert_neox_to_hf.py --input_dir FOLDER --config_file CONFIG "
     "--output_dir OUT",
     {"layer_*-model_*-model_states.pt", "global_step*/layer_*-model_*-model_states.pt"}},
    {"a training checkpoint of DeepSpeed ZeRO",
     "convert it: python zero_to_fp32.py FOLDER OUT --safe_serialization (the script lies beside "
     "the folder global_step*)",
     {"zero_to_fp32.py", "*zero_pp_rank_*", "mp_rank_*_model_states.pt",
      "global_step*/*zero_pp_rank_*"}},
    {"a training checkpoint of Megatron",
     "convert it by Megatron-Bridge: python examples/conversion/convert_checkpoints.py export "
     "--hf-model MODEL --megatron-path FOLDER --hf-path OUT",
     {"mp_rank_*/model_optim_rng.pt", "iter_*/mp_rank_*/model_optim_rng.pt",
      "latest_checkpointed_iteration.txt", "common.pt"}},
    {"a training checkpoint of NeMo",
     "convert it: nemo llm export path=FOLDER target=hf output_path=OUT",
     {"*.nemo", "model_weights", "context/model.yaml"}},
    {"a training checkpoint of OLMo-core",
     "convert it: python src/examples/huggingface/convert_checkpoint_to_hf.py -i FOLDER -o OUT",
     {"model_and_optim/.metadata"}},
    {"a training checkpoint of nanotron",
     "convert it: torchrun --nproc_per_node=1 examples/llama/convert_nanotron_to_hf.py "
     "--checkpoint_path=FOLDER --save_path=OUT",
     {"checkpoint_metadata.json"}},
    {"a checkpoint of LitGPT",
     "convert it: litgpt convert_from_litgpt FOLDER OUT",
     {"lit_model.pth"}},
    {"a training checkpoint of accelerate (FSDP)",
     "convert it: accelerate merge-weights FOLDER/pytorch_model_fsdp_0 OUT",
     {"pytorch_model_fsdp_*"}},
    {"a training checkpoint of torch.distributed (DCP, FSDP)",
     "convert it: python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER "
     "OUT/pytorch_model.bin",
     {".metadata", "*.distcp"}},
    {"a checkpoint of JAX (Orbax)",
     "export it to safetensors by the program that wrote it (MaxText: to_huggingface)",
     {"_CHECKPOINT_METADATA", "manifest.ocdbt", "orbax.checkpoint"}},
    {"a Flax model",
     "convert it in transformers before 5: from_pretrained(FOLDER, from_flax=True), then "
     "save_pretrained(OUT)",
     {"flax_model.msgpack", "flax_model.msgpack.index.json", "flax_model-*.msgpack"}},
    {"a TensorFlow model",
     "convert it in transformers before 5: from_pretrained(FOLDER, from_tf=True), then "
     "save_pretrained(OUT)",
     {"tf_model.h5", "tf_model.h5.index.json", "tf_model-*.h5", "*.ckpt.index"}},
    {"a Llama in Meta's own files",
     "convert it in transformers before 5: python -m "
     "transformers.models.llama.convert_llama_weights_to_hf --input_dir FOLDER --output_dir OUT",
     {"consolidated.*.pth"}},
    {"an MLX model", "use the model that it was made from", {"weights.npz", "weights.*.npz"}},
    {"an ONNX model", "use the model that it was made from", {"*.onnx", "onnx/*.onnx"}},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds, MOST_FOLDERS = 1000 };

/*
 * Whether a name with a pattern, of one component or more, is in the folder. Looks into less
 * than `left` folders: links that lead in circles are more paths than can be walked.
 */
static sd_status is_in(const char *path, const char *pattern, int *left, bool *out)
{
    sd_status            st    = SD_OK;
    const char          *slash = strchr(pattern, '/');
    char                *first = NULL, *inner = NULL;
    DIR                 *folder;
    const struct dirent *item;

    *out = false;
    --*left;
    SD_TRY(sd_copy_string(pattern, &first));
    if (slash != NULL) first[slash - pattern] = '\0';
    folder = opendir(path);
    while (folder != NULL && !*out && *left > 0 && st == SD_OK &&
           (item = readdir(folder)) != NULL) {
        *out = fnmatch(first, item->d_name, FNM_PERIOD) == 0;
        if (!*out || slash == NULL) continue;
        st = sd_path_join(path, item->d_name, &inner);
        if (st == SD_OK) st = is_in(inner, slash + 1, left, out);
        sd_free(inner);
        inner = NULL;
    }
    if (folder != NULL) closedir(folder);

done:
    sd_free(first);
    return st;
}

sd_status sd_foreign_folder(const char *path, const sd_foreign **out)
{
    sd_status st    = SD_OK;
    bool      found = false;

    *out = NULL;
    for (int k = 0; k < N_KINDS; k++)
        for (const char *const *mark = kinds[k].marks; *mark != NULL; mark++) {
            int left = MOST_FOLDERS;

            SD_TRY(is_in(path, *mark, &left, &found));
            if (!found) continue;
            *out = &kinds[k];
            return SD_OK;
        }

done:
    return st;
}

const sd_foreign *sd_foreign_file(const char *name)
{
    for (int k = 0; k < N_KINDS; k++)
        for (const char *const *mark = kinds[k].marks; *mark != NULL; mark++) {
            const char *slash = strrchr(*mark, '/');

            if (fnmatch(slash != NULL ? slash + 1 : *mark, name, 0) == 0) return &kinds[k];
        }
    return NULL;
}
