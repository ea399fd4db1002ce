/*
 * The same as test_llama_states.c for every family, through the program's own reader: checkpoint
 * folders as transformers saves them, opened, bound and loaded layer by layer, give its states.
 */
#include <math.h>

#include "pipeline/load_block.h"
#include "pipeline/model.h"
#include "solvers/base/memory.h"
#include "solvers/forward/forward.h"
#include "tests/support/check.h"
#include "tests/support/plain_safetensors.h"

/* |difference| / |state| per token: the product's promise, derived in test_llama_states.c. */
static const double promise = 2e-5;

enum { LONGEST = 300 }; /* tokens of a committed sequence */

/* A checkpoint as the program opens it. */
typedef struct {
    sd_checkpoint   *checkpoint;
    const sd_family *family;
    sd_model         model;
} opened;

static double relative_error(int64_t d, const float *got, const float *want)
{
    double off = 0, size = 0;

    for (int64_t i = 0; i < d; i++) {
        off += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        size += (double)want[i] * want[i];
    }
    return sqrt(off / size);
}

static void compare_state(const opened *o, int64_t state, const plain_file *expected,
                          const float *x)
{
    double             worst  = 0;
    const plain_tensor tokens = plain_get(expected, "tokens"), want = plain_get(expected, "states");
    const int64_t     *token = tokens.data, d = o->model.d;

    CHECK(tokens.shape[0] > 0 && want.shape[1] == tokens.shape[0] && want.shape[2] == d);
    for (int64_t k = 0; k < tokens.shape[0]; k++) {
        const float *h = (const float *)want.data + (state * tokens.shape[0] + k) * d;

        worst = fmax(worst, relative_error(d, x + token[k] * d, h));
        CLOSE(relative_error(d, x + token[k] * d, h), 0, promise);
    }
    if (getenv("SD_VERBOSE") != NULL)
        printf("%s state %d: %.2g\n", o->family->name, (int)state, worst);
}

static void embed(const opened *o, const plain_tensor *ids, float *x)
{
    const int64_t *wide = ids->data, n = ids->shape[0];
    int32_t       *id = NULL;

    CHECK(sd_alloc(n, sizeof *id, &id) == SD_OK);
    for (int64_t t = 0; t < n; t++) id[t] = (int32_t)wide[t];
    CHECK(sd_embedding_rows(o->checkpoint, o->family, &o->model, n, id, x) == SD_OK);
    sd_free(id);
}

static void advance(const opened *o, int64_t layer, const sd_sequences *seq, float *x, float *mid)
{
    sd_loaded_block *loaded  = NULL;
    sd_forward      *forward = NULL;
    sd_status st = sd_block_load(o->checkpoint, o->family, &o->model, layer, NULL, NULL, &loaded);

    CHECK(st == SD_OK);
    if (st != SD_OK) return;
    st = sd_forward_create(&loaded->block, seq->first[seq->n_sequences], LONGEST, &forward);
    CHECK(st == SD_OK);
    if (st == SD_OK) CHECK(sd_forward_block(forward, &loaded->block, seq, x, mid) == SD_OK);
    sd_forward_destroy(&forward);
    sd_loaded_block_destroy(&loaded);
}

static void compare_states(const opened *o, const plain_file *expected)
{
    const plain_tensor ids = plain_get(expected, "ids"), first = plain_get(expected, "first");
    const int64_t      n = ids.shape[0], states = plain_get(expected, "states").shape[0];
    const sd_sequences seq = {first.shape[0] - 1, first.data};
    float             *x = NULL, *mid = NULL;

    CHECK(seq.first[seq.n_sequences] == n);
    CHECK(states == o->model.n_layers + 1);
    CHECK(sd_alloc(n * o->model.d, sizeof *x, &x) == SD_OK);
    CHECK(sd_alloc(n * o->model.d, sizeof *mid, &mid) == SD_OK);
    embed(o, &ids, x);
    compare_state(o, 0, expected, x);
    for (int64_t layer = 0; layer < o->model.n_layers; layer++) {
        advance(o, layer, &seq, x, mid);
        compare_state(o, layer + 1, expected, x);
    }
    sd_free(x);
    sd_free(mid);
}

static void a_folder_gives_the_states(const char *folder, const char *expected_path)
{
    plain_file expected = plain_open(expected_path);
    opened     o        = {0};

    CHECK(sd_checkpoint_open(folder, &o.checkpoint) == SD_OK);
    if (o.checkpoint == NULL || sd_model_open(o.checkpoint, &o.family, &o.model) != SD_OK)
        plain_fail(folder, sd_message());
    compare_states(&o, &expected);
    sd_checkpoint_close(&o.checkpoint);
    plain_close(&expected);
}

int main(void)
{
    const char *const cases[] = {"plain",         "linear",       "llama3",
                                 "half",          "gemma_plain",  "gemma_linear",
                                 "gemma_untied",  "gemma2_plain", "gemma2_uncapped",
                                 "gemma2_itself", "gemma3_plain", "gemma3_stretched",
                                 "gemma3_wide"};
    const char       *data = getenv("SD_TEST_DATA"), *source = getenv("SD_SOURCE");
    char              folder[2048], expected[2048];

    if (data == NULL || source == NULL) plain_fail("SD_TEST_DATA and SD_SOURCE", "not set");
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        snprintf(folder, sizeof folder, "%s/states/%s", data, cases[k]);
        snprintf(expected, sizeof expected, "%s/states/%s/states.safetensors", data, cases[k]);
        a_folder_gives_the_states(folder, expected);
    }
    snprintf(folder, sizeof folder, "%s/configs/demo/tinyrun/base/step_013000", source);
    snprintf(expected, sizeof expected, "%s/states/demo/states.safetensors", data);
    a_folder_gives_the_states(folder, expected);
    return REPORT();
}
