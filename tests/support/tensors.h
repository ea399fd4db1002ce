/**
 * @file tensors.h
 * @brief Writes safetensors files and small Llama checkpoints for tests, into the scratch folder.
 */
#ifndef SD_TESTS_SUPPORT_TENSORS_H
#define SD_TESTS_SUPPORT_TENSORS_H

#include <inttypes.h>
#include <stdbool.h>

#include "tests/support/scratch.h"

/** Writes a header as given, its length in front, and `count` bytes of data behind. */
static inline void tensors_write_raw(const char *name, uint64_t claimed, const char *header,
                                     const void *data, int64_t count)
{
    FILE         *file = fopen(scratch_path(name), "wb");
    unsigned char first[8];

    scratch_need(file != NULL, name);
    for (int i = 0; i < 8; i++) first[i] = (unsigned char)(claimed >> (8 * i));
    fwrite(first, 8, 1, file);
    fwrite(header, strlen(header), 1, file);
    if (count > 0) fwrite(data, (size_t)count, 1, file);
    scratch_need(fclose(file) == 0, name);
}

/** The same with the header's true length, and zeros behind. */
static inline void tensors_write(const char *name, const char *header, int64_t count)
{
    char *zeros = calloc((size_t)count + 1, 1);

    tensors_write_raw(name, strlen(header), header, zeros, count);
    free(zeros);
}

/** Tensors that are being put together: element number k of a file has the value k / 64. */
typedef struct {
    char          header[1 << 14];
    unsigned char data[1 << 16];
    int64_t       used; /* bytes of data */
    const char   *dtype;
    const char   *skip;   /* a tensor to leave out, or NULL                       */
    const char   *change; /* a tensor to give another shape or dtype, or NULL     */
    const char   *changed_dtype;
    int64_t       changed_rows; /* 0: as it is */
    int64_t       element;
} tensors;

static inline void tensors_element(tensors *t, const char *dtype)
{
    const float  value = (float)t->element / 64;
    const double wide  = value;
    uint32_t     bits;
    uint16_t     half;

    memcpy(&bits, &value, sizeof bits);
    half = (uint16_t)(bits >> 16);
    t->element++;
    if (strcmp(dtype, "F32") == 0)
        memcpy(t->data + t->used, &value, 4), t->used += 4;
    else if (strcmp(dtype, "F64") == 0)
        memcpy(t->data + t->used, &wide, 8), t->used += 8;
    else
        memcpy(t->data + t->used, &half, 2), t->used += 2; /* BF16, exact below 4; others: bits */
}

/** Adds a tensor; cols 0 makes a vector. */
static inline void tensors_add(tensors *t, const char *name, int64_t rows, int64_t cols)
{
    const bool    changed = t->change != NULL && strcmp(t->change, name) == 0;
    const char   *dtype   = changed && t->changed_dtype != NULL ? t->changed_dtype : t->dtype;
    const int64_t begin   = t->used;
    const size_t  length  = strlen(t->header);
    char          shape[64];

    if (t->skip != NULL && strcmp(t->skip, name) == 0) return;
    if (changed && t->changed_rows > 0) rows = t->changed_rows;
    t->element = 0;
    for (int64_t k = 0; k < rows * (cols > 0 ? cols : 1); k++) tensors_element(t, dtype);
    if (cols > 0)
        snprintf(shape, sizeof shape, "%" PRId64 ",%" PRId64, rows, cols);
    else
        snprintf(shape, sizeof shape, "%" PRId64, rows);
    snprintf(t->header + length, sizeof t->header - length,
             "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%" PRId64 ",%" PRId64
             "]}",
             length == 0 ? "{" : ",", name, dtype, shape, begin, t->used);
}

static inline void tensors_layer(tensors *t, int layer, bool biases)
{
    static const struct {
        const char *name;
        int64_t     rows, cols;
        bool        bias;
    } part[] = {
        {"input_layernorm.weight", 4, 0, false},  {"self_attn.q_proj.weight", 8, 4, false},
        {"self_attn.k_proj.weight", 4, 4, false}, {"self_attn.v_proj.weight", 4, 4, false},
        {"self_attn.o_proj.weight", 4, 8, false}, {"post_attention_layernorm.weight", 4, 0, false},
        {"mlp.gate_proj.weight", 6, 4, false},    {"mlp.up_proj.weight", 6, 4, false},
        {"mlp.down_proj.weight", 4, 6, false},    {"self_attn.q_proj.bias", 8, 0, true},
        {"self_attn.k_proj.bias", 4, 0, true},    {"self_attn.v_proj.bias", 4, 0, true},
        {"self_attn.o_proj.bias", 4, 0, true},    {"mlp.gate_proj.bias", 6, 0, true},
        {"mlp.up_proj.bias", 6, 0, true},         {"mlp.down_proj.bias", 4, 0, true},
    };
    char name[128];

    for (size_t k = 0; k < sizeof part / sizeof part[0]; k++) {
        if (part[k].bias && !biases) continue;
        snprintf(name, sizeof name, "model.layers.%d.%s", layer, part[k].name);
        tensors_add(t, name, part[k].rows, part[k].cols);
    }
}

/** A Llama with d = 4, f = 6, 4 heads of 2 on 2 key/value heads, 5 tokens, as one file. */
static inline void tensors_llama(tensors *t, const char *file, int n_layers, bool biases)
{
    t->header[0] = '\0';
    t->used      = 0;
    if (t->dtype == NULL) t->dtype = "F32";
    tensors_add(t, "model.embed_tokens.weight", 5, 4);
    for (int layer = 0; layer < n_layers; layer++) tensors_layer(t, layer, biases);
    tensors_add(t, "model.norm.weight", 4, 0);
    strcat(t->header, "}");
    tensors_write_raw(file, strlen(t->header), t->header, t->data, t->used);
}

/** Its config.json; `more` is further keys, ", \"key\": value". */
static inline void tensors_config(const char *file, int n_layers, const char *more)
{
    char text[2048];

    snprintf(text, sizeof text,
             "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", "
             "\"num_hidden_layers\": %d, \"hidden_size\": 4, \"intermediate_size\": 6, "
             "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"head_dim\": 2, "
             "\"vocab_size\": 5%s}",
             n_layers, more);
    scratch_text(file, text);
}

#endif
