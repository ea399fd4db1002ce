/* A loaded block holds the file's numbers in the solvers' places, whatever they were stored as. */
#include <string.h>

#include "io/fingerprint.h"
#include "pipeline/load_block.h"
#include "pipeline/model.h"
#include "tests/support/shortage.h"
#include "tests/support/tensors.h"

static tensors built;

typedef struct {
    sd_checkpoint   *checkpoint;
    const sd_family *family;
    sd_model         model;
} opened;

static sd_status open_model(opened *o)
{
    sd_status st = SD_OK;

    *o = (opened){0};
    SD_TRY(sd_checkpoint_open(scratch, &o->checkpoint));
    SD_TRY(sd_model_open(o->checkpoint, &o->family, &o->model));

done:
    return st;
}

static void write_llama(const char *dtype, bool biases)
{
    built = (tensors){.dtype = dtype};
    tensors_llama(&built, "model.safetensors", 2, biases);
    tensors_config("config.json", 2,
                   biases ? ", \"attention_bias\": true, \"mlp_bias\": true, \"rope_theta\": 100.0"
                          : ", \"rope_theta\": 100.0");
}

/* The writer gives element k of every tensor the value k / 64, exact in all formats. */
static void counts_up(const sd_matrix *w, int64_t rows, int64_t cols, sd_dtype type)
{
    float row[8];

    CHECK(w->rows == rows && w->cols == cols && w->stride == cols && w->type == type);
    for (int64_t i = 0; i < w->rows; i++) {
        sd_to_float(type, cols, (const char *)w->weight + i * cols * sd_dtype_size(type), row);
        for (int64_t j = 0; j < cols; j++) CHECK(row[j] == (float)(i * cols + j) / 64);
    }
}

static void vector_counts_up(const float *x, int64_t n)
{
    CHECK(x != NULL);
    for (int64_t i = 0; x != NULL && i < n; i++) CHECK(x[i] == (float)i / 64);
}

static void is_the_written_layer(const sd_block *b, sd_dtype type, bool biases)
{
    const sd_matrix *const all[] = {&b->query, &b->key, &b->value, &b->out,
                                    &b->gate,  &b->up,  &b->down};

    CHECK(b->d == 4 && b->f == 6 && b->n_heads == 4 && b->n_kv == 2 && b->d_head == 2);
    counts_up(&b->query, 8, 4, type);
    counts_up(&b->key, 4, 4, type);
    counts_up(&b->value, 4, 4, type);
    counts_up(&b->out, 4, 8, type);
    counts_up(&b->gate, 6, 4, type);
    counts_up(&b->up, 6, 4, type);
    counts_up(&b->down, 4, 6, type);
    vector_counts_up(b->norm1.gamma, 4);
    vector_counts_up(b->norm2.gamma, 4);
    CHECK(b->norm1.eps == 1e-6 && b->norm2.eps == 1e-6);
    CHECK(b->rope.inv_freq[0] == 1.0f); /* theta^0, the only frequency of heads of two channels */
    for (int k = 0; k < 7; k++) {
        CHECK((all[k]->bias != NULL) == biases);
        if (biases) vector_counts_up(all[k]->bias, all[k]->rows);
    }
}

static void a_layer_holds_the_files_numbers(const char *dtype, sd_dtype held, bool biases)
{
    opened           o;
    sd_loaded_block *block = NULL;
    sd_block_types   types;
    sd_block         bound;

    write_llama(dtype, biases);
    CHECK(open_model(&o) == SD_OK);
    CHECK(sd_block_load(o.checkpoint, o.family, &o.model, 1, NULL, NULL, &block) == SD_OK);
    CHECK(sd_block_types_of(o.checkpoint, o.family, &o.model, 1, &types) == SD_OK);
    sd_checkpoint_close(&o.checkpoint); /* a block does not lean on its checkpoint */
    if (block == NULL) return;
    is_the_written_layer(&block->block, held, biases);
    CHECK(block->size == sd_loaded_block_size(&o.model, &types));

    /* Sent to another rank: the same bytes elsewhere are the same block. */
    sd_loaded_block *copy = NULL;
    CHECK(sd_loaded_block_create(&o.model, &types, &copy) == SD_OK);
    CHECK(copy->size == block->size);
    memcpy(copy->bytes, block->bytes, (size_t)block->size);
    memset(block->bytes, 0xff, (size_t)block->size);
    is_the_written_layer(&copy->block, held, biases);
    CHECK(sd_loaded_block_bind(&o.model, &types, copy->bytes, copy->size - 1, &bound) ==
          SD_ERR_INTERNAL);
    sd_clear();
    sd_loaded_block_destroy(&block);
    sd_loaded_block_destroy(&copy);
}

static void hashes_on_the_way_are_those_of_the_file(const char *dtype)
{
    opened           o;
    sd_loaded_block *block                   = NULL;
    char             seen[64][SD_XXH128_HEX] = {{0}}, alone[SD_XXH128_HEX];
    int              count                   = 0;

    write_llama(dtype, true);
    CHECK(open_model(&o) == SD_OK && sd_checkpoint_count(o.checkpoint) == 34);
    CHECK(sd_block_load(o.checkpoint, o.family, &o.model, 0, NULL, seen, &block) == SD_OK);
    for (int64_t i = 0; i < sd_checkpoint_count(o.checkpoint); i++) {
        const bool in_layer = strncmp(sd_checkpoint_tensor(o.checkpoint, i)->name,
                                      "model.layers.0.", strlen("model.layers.0.")) == 0;

        CHECK((seen[i][0] != '\0') == in_layer);
        CHECK(sd_tensor_digest(o.checkpoint, i, true, NULL, alone) == SD_OK);
        CHECK(!in_layer || strcmp(seen[i], alone) == 0);
        count += in_layer;
    }
    CHECK(count == 16);
    sd_loaded_block_destroy(&block);
    sd_checkpoint_close(&o.checkpoint);
}

static void embedding_rows_are_those_of_the_ids(const char *dtype)
{
    static const int32_t id[] = {4, 0, 4, 2};
    opened               o;
    float                rows[4][4];

    write_llama(dtype, false);
    CHECK(open_model(&o) == SD_OK);
    CHECK(sd_embedding_rows(o.checkpoint, o.family, &o.model, 4, id, rows[0]) == SD_OK);
    for (int k = 0; k < 4; k++)
        for (int j = 0; j < 4; j++) CHECK(rows[k][j] == (float)(id[k] * 4 + j) / 64);
    for (int32_t bad = -1; bad <= 5; bad += 6) {
        CHECK(sd_embedding_rows(o.checkpoint, o.family, &o.model, 1, &bad, rows[0]) ==
              SD_ERR_INPUT);
        CHECK(strstr(sd_message(),
                     "is outside of the vocabulary of 5: text and model do not belong "
                     "together") != NULL);
        sd_clear();
    }
    sd_checkpoint_close(&o.checkpoint);
}

enum {
    WIDE = 3 << 16
}; /* FFN width: 6 MiB for a matrix of 4 columns in F64, one piece and a half */

static void put(FILE *file, int64_t at, double value)
{
    scratch_need(fseek(file, (long)at, SEEK_SET) == 0, "fseek");
    scratch_need(fwrite(&value, sizeof value, 1, file) == 1, "fwrite");
}

/* One layer whose FFN takes several pieces to read; zeros, but for element `at` of up_proj. */
static void write_wide(int64_t at, double value)
{
    static const struct {
        const char *name;
        int64_t     rows, cols;
    } part[] = {
        {"embed_tokens", 5, 4},
        {"layers.0.input_layernorm", 4, 0},
        {"layers.0.self_attn.q_proj", 8, 4},
        {"layers.0.self_attn.k_proj", 4, 4},
        {"layers.0.self_attn.v_proj", 4, 4},
        {"layers.0.self_attn.o_proj", 4, 8},
        {"layers.0.post_attention_layernorm", 4, 0},
        {"layers.0.mlp.gate_proj", WIDE, 4},
        {"layers.0.mlp.down_proj", 4, WIDE},
        {"layers.0.mlp.up_proj", WIDE, 4}, /* the last one: the file ends with it */
    };
    char    header[4096] = "{";
    int64_t used         = 0;

    for (size_t k = 0; k < sizeof part / sizeof part[0]; k++) {
        const int64_t begin = used, cols = part[k].cols;
        const size_t  length = strlen(header);
        char          extent[32];

        used += part[k].rows * (cols > 0 ? cols : 1) * (int64_t)sizeof(double);
        snprintf(extent, sizeof extent, ",%" PRId64, cols);
        snprintf(header + length, sizeof header - length,
                 "%s\"model.%s.weight\":{\"dtype\":\"F64\",\"shape\":[%" PRId64 "%s],"
                 "\"data_offsets\":[%" PRId64 ",%" PRId64 "]}",
                 k > 0 ? "," : "", part[k].name, part[k].rows, cols > 0 ? extent : "", begin, used);
    }
    strcat(header, "}");
    tensors_write_raw("model.safetensors", strlen(header), header, NULL, 0);

    FILE         *file = fopen(scratch_path("model.safetensors"), "r+b");
    const int64_t end  = 8 + (int64_t)strlen(header) + used;
    put(file, end - 8, 0.0);
    put(file, end - (4 * WIDE - at) * 8, value);
    scratch_need(fclose(file) == 0, "fclose");
    snprintf(header, sizeof header,
             "{\"architectures\": [\"LlamaForCausalLM\"], \"num_hidden_layers\": 1, "
             "\"hidden_size\": 4, \"intermediate_size\": %d, \"num_attention_heads\": 4, "
             "\"num_key_value_heads\": 2, \"head_dim\": 2, \"vocab_size\": 5}",
             WIDE);
    scratch_text("config.json", header);
}

static sd_status count_calls(void *context)
{
    ++*(int *)context;
    return SD_OK;
}

static void large_tensors_are_read_in_pieces(void)
{
    const int64_t    at = 4 * WIDE - 6; /* in the second piece: row WIDE - 2, column 2 */
    opened           o;
    sd_loaded_block *block = NULL;
    int              calls = 0;
    int64_t          wrong = 0;
    const sd_poll    poll  = {count_calls, &calls};
    char             seen[16][SD_XXH128_HEX], alone[SD_XXH128_HEX], want[256];

    write_wide(at, 0.75);
    CHECK(open_model(&o) == SD_OK);
    CHECK(sd_block_load(o.checkpoint, o.family, &o.model, 0, &poll, seen, &block) == SD_OK);
    CHECK(calls == 6 + 3 * 2);
    for (int64_t k = 0; block != NULL && k < 4 * WIDE; k++)
        wrong += ((const float *)block->block.up.weight)[k] != (k == at ? 0.75f : 0.0f);
    CHECK(wrong == 0);
    sd_loaded_block_destroy(&block);
    const int64_t i = sd_checkpoint_find(o.checkpoint, "model.layers.0.mlp.up_proj.weight");
    CHECK(sd_tensor_digest(o.checkpoint, i, true, NULL, alone) == SD_OK);
    CHECK(strcmp(seen[i], alone) == 0);
    sd_checkpoint_close(&o.checkpoint);

    write_wide(at, -INFINITY);
    snprintf(want, sizeof want, "holds an infinity at [%d, 2]", WIDE - 2);
    CHECK(open_model(&o) == SD_OK);
    CHECK(sd_tensor_digest(o.checkpoint, i, true, NULL, alone) == SD_ERR_INPUT);
    CHECK(strstr(sd_message(), want) != NULL);
    sd_clear();
    CHECK(sd_block_load(o.checkpoint, o.family, &o.model, 0, NULL, NULL, &block) == SD_ERR_INPUT);
    snprintf(want, sizeof want, "holds a number beyond single precision at [%d, 2]", WIDE - 2);
    CHECK(strstr(sd_message(), want) != NULL && block == NULL);
    sd_clear();
    sd_checkpoint_close(&o.checkpoint);
}

static sd_status stop_at_the_third(void *context)
{
    return ++*(int *)context == 3 ? SD_INTERRUPTED : SD_OK;
}

static void loading_can_be_stopped(void)
{
    opened           o;
    sd_loaded_block *block = NULL;
    int              calls = 0;
    const sd_poll    poll  = {stop_at_the_third, &calls};

    write_llama("F32", false);
    CHECK(open_model(&o) == SD_OK);
    CHECK(sd_block_load(o.checkpoint, o.family, &o.model, 0, &poll, NULL, &block) ==
          SD_INTERRUPTED);
    CHECK(block == NULL && calls == 3);
    sd_checkpoint_close(&o.checkpoint);
}

static sd_status load_once(void)
{
    sd_status        st = SD_OK;
    opened           o;
    sd_loaded_block *block = NULL;
    char             seen[64][SD_XXH128_HEX];
    const int32_t    id = 1;
    float            row[4];

    SD_TRY(open_model(&o));
    SD_TRY(sd_block_load(o.checkpoint, o.family, &o.model, 0, NULL, seen, &block));
    SD_TRY(sd_embedding_rows(o.checkpoint, o.family, &o.model, 1, &id, row));

done:
    sd_loaded_block_destroy(&block);
    sd_checkpoint_close(&o.checkpoint);
    return st;
}

int main(void)
{
    scratch_open();
    for (int biases = 0; biases < 2; biases++) {
        a_layer_holds_the_files_numbers("F32", SD_F32, biases);
        a_layer_holds_the_files_numbers("BF16", SD_BF16, biases);
        a_layer_holds_the_files_numbers("F64", SD_F32, biases);
    }
    hashes_on_the_way_are_those_of_the_file("BF16");
    hashes_on_the_way_are_those_of_the_file("F64");
    embedding_rows_are_those_of_the_ids("F32");
    embedding_rows_are_those_of_the_ids("BF16");
    large_tensors_are_read_in_pieces();
    loading_can_be_stopped();
    write_llama("F64", true);
    walk_shortages(load_once);
    scratch_close();
    return REPORT();
}
