/**
 * @file linear_maps.h
 * @brief Reads tests/data/linear_maps.txt: layers with their weights and the spectra of their maps.
 *
 * The format is described in tests/oracle/make_linear_maps.py, which writes the file. A damaged
 * file ends the program: it is our own.
 */
#ifndef SD_TESTS_SUPPORT_LINEAR_MAPS_H
#define SD_TESTS_SUPPORT_LINEAR_MAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "solvers/layer_op.h"

enum { ORACLE_ARRAYS = 64 };

typedef struct {
    char    name[64];
    int64_t rows, cols;
    double *value;
    float  *single; /* the same rounded to float: exact for weights */
} oracle_array;

typedef struct {
    char              name[64];
    sd_block          block;
    sd_linear_options options;
    double            s1, s2; /* divisors of the map `scaled` */
    int               n_arrays;
    oracle_array      array[ORACLE_ARRAYS];
} oracle_layer;

static inline void oracle_demand(bool condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "linear_maps.txt: %s\n", what);
    exit(1);
}

/* The next word; a comment runs from # to the end of its line. */
static inline const char *oracle_word(FILE *file)
{
    static char word[64];

    for (;;) {
        oracle_demand(fscanf(file, "%63s", word) == 1, "ends early");
        if (word[0] != '#') return word;
        for (int c = 0; c != '\n' && c != EOF;) c = fgetc(file);
    }
}

static inline void oracle_expect(FILE *file, const char *want)
{
    oracle_demand(strcmp(oracle_word(file), want) == 0, want);
}

static inline double oracle_number(FILE *file)
{
    char        *end;
    const char  *word  = oracle_word(file);
    const double value = strtod(word, &end);

    oracle_demand(end != word && *end == '\0', "a number is wanted");
    return value;
}

static inline int64_t oracle_count(FILE *file)
{
    return (int64_t)oracle_number(file);
}

/* An array of the layer; NULL values when it has none of that name. */
static inline oracle_array oracle_find(const oracle_layer *layer, const char *name)
{
    for (int k = 0; k < layer->n_arrays; k++)
        if (strcmp(layer->array[k].name, name) == 0) return layer->array[k];
    return (oracle_array){"", 0, 0, NULL, NULL};
}

/* An answer `map`.`what`, e.g. ("layer", "sigma"). */
static inline const double *oracle_answer(const oracle_layer *layer, const char *map,
                                          const char *what)
{
    char name[80];

    snprintf(name, sizeof name, "%s.%s", map, what);
    const double *value = oracle_find(layer, name).value;
    oracle_demand(value != NULL, name);
    return value;
}

static inline void oracle_read_array(FILE *file, oracle_array *a)
{
    snprintf(a->name, sizeof a->name, "%s", oracle_word(file));
    a->rows         = oracle_count(file);
    a->cols         = oracle_count(file);
    const int64_t n = a->rows * a->cols;

    oracle_demand(n > 0 && n < 1000000, a->name);
    a->value  = calloc((size_t)n, sizeof *a->value);
    a->single = calloc((size_t)n, sizeof *a->single);
    oracle_demand(a->value != NULL && a->single != NULL, "no memory");
    for (int64_t i = 0; i < n; i++) {
        a->value[i]  = oracle_number(file);
        a->single[i] = (float)a->value[i];
    }
}

static inline sd_matrix oracle_matrix(const oracle_layer *layer, const char *name, const char *bias)
{
    const oracle_array a = oracle_find(layer, name);

    return (sd_matrix){SD_F32, a.rows, a.cols, a.cols, a.single, oracle_find(layer, bias).single};
}

static inline void oracle_read_layer(FILE *file, oracle_layer *layer)
{
    static const char *const acts[] = {[SD_ACT_SILU]      = "silu",
                                       [SD_ACT_GELU]      = "gelu",
                                       [SD_ACT_GELU_TANH] = "gelu_tanh",
                                       [SD_ACT_RELU]      = "relu"};
    sd_block                *b      = &layer->block;

    memset(layer, 0, sizeof *layer);
    oracle_expect(file, "layer");
    snprintf(layer->name, sizeof layer->name, "%s", oracle_word(file));
    oracle_expect(file, "sizes");
    b->d       = oracle_count(file);
    b->f       = oracle_count(file);
    b->n_heads = oracle_count(file);
    b->n_kv    = oracle_count(file);
    b->d_head  = oracle_count(file);
    oracle_expect(file, "wiring");
    b->wiring =
        strcmp(oracle_word(file), "parallel") == 0 ? SD_WIRING_PARALLEL : SD_WIRING_SEQUENTIAL;
    oracle_expect(file, "act");
    const char *act = oracle_word(file);
    while (b->act < SD_ACT_RELU && strcmp(acts[b->act], act) != 0) b->act++;
    oracle_expect(file, "gated");
    oracle_count(file); /* seen by the gate's array */
    oracle_expect(file, "scaled_input");
    layer->options.scaled_input = oracle_count(file) != 0;
    oracle_expect(file, "keep_biases");
    layer->options.keep_biases = oracle_count(file) != 0;
    oracle_expect(file, "scale");
    layer->s1 = oracle_number(file);
    layer->s2 = oracle_number(file);
    while (strcmp(oracle_word(file), "array") == 0) { /* the word after the last array is `end` */
        oracle_demand(layer->n_arrays < ORACLE_ARRAYS, "too many arrays");
        oracle_read_array(file, &layer->array[layer->n_arrays++]);
    }
    b->norm1 = (sd_norm){oracle_find(layer, "gamma1").single, 1e-5};
    b->norm2 = (sd_norm){oracle_find(layer, "gamma2").single, 1e-5};
    b->post1 = (sd_norm){oracle_find(layer, "post1").single, 1e-5};
    b->post2 = (sd_norm){oracle_find(layer, "post2").single, 1e-5};
    b->value = oracle_matrix(layer, "value", "");
    b->out   = oracle_matrix(layer, "out", "");
    b->gate  = oracle_matrix(layer, "gate", "bias_gate");
    b->up    = oracle_matrix(layer, "up", "bias_up");
    b->down  = oracle_matrix(layer, "down", "");
}

/** @brief All layers of $SD_TEST_DATA/linear_maps.txt; release with oracle_free(). */
static inline oracle_layer *oracle_read(int *n_layers)
{
    char        path[4096];
    const char *folder = getenv("SD_TEST_DATA");

    snprintf(path, sizeof path, "%s/linear_maps.txt", folder != NULL ? folder : "tests/data");
    FILE *file = fopen(path, "r");
    oracle_demand(file != NULL, "cannot be opened");
    oracle_expect(file, "singdef-linear-maps");
    oracle_expect(file, "1");
    oracle_expect(file, "layers");
    *n_layers            = (int)oracle_count(file);
    oracle_layer *layers = calloc((size_t)*n_layers, sizeof *layers);
    oracle_demand(layers != NULL, "no memory");
    for (int k = 0; k < *n_layers; k++) oracle_read_layer(file, &layers[k]);
    fclose(file);
    return layers;
}

static inline void oracle_free(oracle_layer *layers, int n_layers)
{
    for (int k = 0; k < n_layers; k++)
        for (int i = 0; i < layers[k].n_arrays; i++) {
            free(layers[k].array[i].value);
            free(layers[k].array[i].single);
        }
    free(layers);
}

/** @brief A map by the name it has in the file. */
static inline sd_layer_map oracle_map(const oracle_layer *layer, const sd_layer_op *op,
                                      const char *name)
{
    if (strcmp(name, "layer") == 0) return sd_map_layer(op);
    if (strcmp(name, "attention") == 0) return sd_map_attention();
    if (strcmp(name, "ffn") == 0) return sd_map_ffn();
    if (strcmp(name, "paper") == 0) return sd_map_paper(op);
    if (strcmp(name, "sum") == 0) return sd_map_sum();
    oracle_demand(strcmp(name, "scaled") == 0, name);
    return sd_map_scaled(op, layer->s1, layer->s2);
}

#endif
