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
    loading_can_be_stopped();
    write_llama("F64", true);
    walk_shortages(load_once);
    scratch_close();
    return REPORT();
}
