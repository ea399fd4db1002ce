/*
 * States of every layer equal transformers': |difference| / |state| <= 2e-5 per token.
 * With two arguments, a model's folder and a states file as tests/oracle/make_states.py
 * writes them, that model is compared instead of the small ones.
 */
#include <math.h>

#include "solvers/base/memory.h"
#include "solvers/forward/forward.h"
#include "tests/support/check.h"
#include "tests/support/plain_safetensors.h"

/*
 * Both sides compute in float: a state is a sum of terms each known to a few units in the last
 * place (6e-8), through matrices with up to 80 columns and three to six layers. 2e-5 is the
 * product's promise; the worst seen is printed with SD_VERBOSE.
 */
static const double promise = 2e-5;

enum { MAX_FLOATS = 4096 };

/* Vectors of one block as floats; they live as long as the block. */
typedef struct {
    float gamma[2][MAX_FLOATS], bias[7][MAX_FLOATS];
} vectors;

static int64_t integer(const json_t *config, const char *key)
{
    return json_integer_value(json_object_get(config, key));
}

static double real(const json_t *config, const char *key)
{
    return json_number_value(json_object_get(config, key));
}

static const char *named(int layer, const char *rest)
{
    static char name[128];

    snprintf(name, sizeof name, "model.layers.%d.%s", layer, rest);
    return name;
}

/* The weight itself must be aligned to its format for the test's purposes: safetensors pads to 8.
 */
static sd_matrix matrix(const plain_file *file, int layer, const char *part, float *bias)
{
    char name[64];

    snprintf(name, sizeof name, "%s.weight", part);
    const plain_tensor w = plain_get(file, named(layer, name));
    snprintf(name, sizeof name, "%s.bias", part);
    const plain_tensor b = plain_get(file, named(layer, name));

    if (w.data == NULL) plain_fail("no tensor", part);
    if (b.data != NULL) sd_to_float(b.type, b.shape[0], b.data, bias);
    return (sd_matrix){w.type,     w.shape[0], w.shape[1],
                       w.shape[1], w.data,     b.data != NULL ? bias : NULL};
}

static sd_norm norm(const plain_file *file, int layer, const char *name, double eps, float *gamma)
{
    const plain_tensor t = plain_get(file, named(layer, name));

    if (t.data == NULL) plain_fail("no tensor", name);
    sd_to_float(t.type, t.shape[0], t.data, gamma);
    return (sd_norm){gamma, eps};
}

static sd_block load(const plain_file *file, const json_t *config, int layer, const float *inv_freq,
                     vectors *v)
{
    const double eps = real(config, "rms_norm_eps");

    return (sd_block){
        .d       = integer(config, "hidden_size"),
        .f       = integer(config, "intermediate_size"),
        .n_heads = integer(config, "num_attention_heads"),
        .n_kv    = integer(config, "num_key_value_heads"),
        .d_head  = integer(config, "head_dim"),
        .wiring  = SD_WIRING_SEQUENTIAL,
        .act     = SD_ACT_SILU,
        .norm1   = norm(file, layer, "input_layernorm.weight", eps, v->gamma[0]),
        .norm2   = norm(file, layer, "post_attention_layernorm.weight", eps, v->gamma[1]),
        .rope    = {inv_freq},
        .query   = matrix(file, layer, "self_attn.q_proj", v->bias[0]),
        .key     = matrix(file, layer, "self_attn.k_proj", v->bias[1]),
        .value   = matrix(file, layer, "self_attn.v_proj", v->bias[2]),
        .out     = matrix(file, layer, "self_attn.o_proj", v->bias[3]),
        .gate    = matrix(file, layer, "mlp.gate_proj", v->bias[4]),
        .up      = matrix(file, layer, "mlp.up_proj", v->bias[5]),
        .down    = matrix(file, layer, "mlp.down_proj", v->bias[6]),
    };
}

/* rope_theta stands at the top in one layout of config.json and inside rope_parameters in the other
 */
static void frequencies(const json_t *config, float *inv_freq)
{
    const json_t   *rope  = json_object_get(config, "rope_parameters");
    const char     *kind  = json_string_value(json_object_get(rope, "rope_type"));
    sd_rope_options given = {
        .kind               = SD_ROPE_DEFAULT,
        .theta              = rope != NULL ? real(rope, "rope_theta") : real(config, "rope_theta"),
        .factor             = real(rope, "factor"),
        .low_freq_factor    = real(rope, "low_freq_factor"),
        .high_freq_factor   = real(rope, "high_freq_factor"),
        .original_positions = real(rope, "original_max_position_embeddings"),
    };

    if (kind != NULL && strcmp(kind, "linear") == 0) given.kind = SD_ROPE_LINEAR;
    if (kind != NULL && strcmp(kind, "llama3") == 0) given.kind = SD_ROPE_LLAMA3;
    sd_rope_inv_freq(&given, integer(config, "head_dim"), inv_freq);
}

static double relative_error(int64_t d, const float *got, const float *want)
{
    double off = 0, size = 0;

    for (int64_t i = 0; i < d; i++) {
        off += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        size += (double)want[i] * want[i];
    }
    return sqrt(off / size);
}

static void compare_state(const char *name, int64_t state, int64_t d, const plain_file *expected,
                          const float *x)
{
    const plain_tensor tokens = plain_get(expected, "tokens"), want = plain_get(expected, "states");
    const int64_t     *token = tokens.data;
    double             worst = 0;

    CHECK(want.shape[1] == tokens.shape[0] && want.shape[2] == d);
    for (int64_t k = 0; k < tokens.shape[0]; k++) {
        const float *h = (const float *)want.data + (state * tokens.shape[0] + k) * d;

        worst = fmax(worst, relative_error(d, x + token[k] * d, h));
        CLOSE(relative_error(d, x + token[k] * d, h), 0, promise);
    }
    if (getenv("SD_VERBOSE") != NULL) printf("%s state %d: %.2g\n", name, (int)state, worst);
}

/* transformers' power function is not correctly rounded: 2 units in the last place, 2^-22 */
static void compare_frequencies(const plain_file *expected, int64_t half, const float *inv_freq)
{
    const plain_tensor want = plain_get(expected, "inv_freq");

    CHECK(want.shape[0] == half);
    for (int64_t i = 0; i < half; i++)
        CLOSE(inv_freq[i] / ((const float *)want.data)[i], 1, 0x1p-22);
}

static void embed(const plain_file *weights, const plain_tensor *ids, int64_t d, float *x)
{
    const plain_tensor table = plain_get(weights, "model.embed_tokens.weight");
    const int64_t     *id    = ids->data;

    for (int64_t t = 0; t < ids->shape[0]; t++)
        sd_to_float(table.type, d, (const char *)table.data + id[t] * d * sd_dtype_size(table.type),
                    x + t * d);
}

static void states_equal_transformers(const char *name, const char *model,
                                      const char *expected_path)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/model.safetensors", model);
    plain_file weights = plain_open(path), expected = plain_open(expected_path);
    snprintf(path, sizeof path, "%s/config.json", model);
    json_t            *config = plain_json(path);
    const plain_tensor ids = plain_get(&expected, "ids"), first = plain_get(&expected, "first");
    const int64_t      d = integer(config, "hidden_size"), tokens = ids.shape[0];
    const int64_t      n_layers = integer(config, "num_hidden_layers");
    const sd_sequences seq      = {first.shape[0] - 1, first.data};
    float              inv_freq[MAX_FLOATS], *x, *mid;
    vectors           *v;
    sd_forward        *forward = NULL;

    CHECK(sd_alloc(tokens * d, sizeof *x, &x) == SD_OK);
    CHECK(sd_alloc(tokens * d, sizeof *mid, &mid) == SD_OK);
    CHECK(sd_alloc(1, sizeof *v, &v) == SD_OK);
    frequencies(config, inv_freq);
    compare_frequencies(&expected, integer(config, "head_dim") / 2, inv_freq);
    embed(&weights, &ids, d, x);
    compare_state(name, 0, d, &expected, x);
    CHECK(plain_get(&expected, "states").shape[0] == n_layers + 1);
    for (int layer = 0; layer < n_layers; layer++) {
        const sd_block block = load(&weights, config, layer, inv_freq, v);

        if (layer == 0) CHECK(sd_forward_create(&block, tokens, 300, &forward) == SD_OK);
        CHECK(sd_forward_block(forward, &block, &seq, x, mid) == SD_OK);
        compare_state(name, layer + 1, d, &expected, x);
    }
    sd_forward_destroy(&forward);
    sd_free(x);
    sd_free(mid);
    sd_free(v);
    json_decref(config);
    plain_close(&weights);
    plain_close(&expected);
}

int main(int argc, char **argv)
{
    const char *const cases[] = {"plain", "linear", "llama3", "half"};
    const char       *data = getenv("SD_TEST_DATA"), *source = getenv("SD_SOURCE");
    char              model[2048], expected[2048];

    if (argc == 3) {
        states_equal_transformers("model", argv[1], argv[2]);
        return REPORT();
    }
    if (data == NULL || source == NULL) plain_fail("SD_TEST_DATA and SD_SOURCE", "not set");
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        snprintf(model, sizeof model, "%s/states/%s", data, cases[k]);
        snprintf(expected, sizeof expected, "%s/states/%s/states.safetensors", data, cases[k]);
        states_equal_transformers(cases[k], model, expected);
    }
    snprintf(model, sizeof model, "%s/configs/demo/tinyrun/base/step_013000", source);
    snprintf(expected, sizeof expected, "%s/states/demo/states.safetensors", data);
    states_equal_transformers("demo", model, expected);
    return REPORT();
}
