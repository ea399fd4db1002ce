/**
 * @file plain_safetensors.h
 * @brief The shortest way from a trusted safetensors or JSON file to arrays, for oracle tests only.
 *
 * No check that a hostile file would need: the program's own reader is tested elsewhere. Whatever
 * goes wrong ends the test program with a message.
 */
#ifndef SD_TESTS_SUPPORT_PLAIN_SAFETENSORS_H
#define SD_TESTS_SUPPORT_PLAIN_SAFETENSORS_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "solvers/base/dtype.h"

typedef struct {
    char       *bytes;
    json_t     *header;
    const char *data;
} plain_file;

typedef struct {
    const void *data;
    sd_dtype    type; /* SD_DTYPE_COUNT for integers */
    int64_t     shape[4];
} plain_tensor;

static inline void plain_fail(const char *what, const char *name)
{
    fprintf(stderr, "%s: %s\n", what, name);
    exit(1);
}

static inline char *plain_read(const char *path, int64_t *length)
{
    FILE *file  = fopen(path, "rb");
    char *bytes = NULL;

    if (file == NULL) plain_fail("cannot open", path);
    if (fseek(file, 0, SEEK_END) != 0 || (*length = ftell(file)) < 0)
        plain_fail("cannot read", path);
    rewind(file);
    bytes = malloc((size_t)*length + 1);
    if (bytes == NULL || fread(bytes, 1, (size_t)*length, file) != (size_t)*length)
        plain_fail("cannot read", path);
    bytes[*length] = '\0';
    fclose(file);
    return bytes;
}

/* release with json_decref() */
static inline json_t *plain_json(const char *path)
{
    int64_t length;
    char   *bytes = plain_read(path, &length);
    json_t *json  = json_loadb(bytes, (size_t)length, 0, NULL);

    if (json == NULL) plain_fail("no JSON", path);
    free(bytes);
    return json;
}

static inline plain_file plain_open(const char *path)
{
    plain_file file;
    int64_t    length, header;

    file.bytes = plain_read(path, &length);
    memcpy(&header, file.bytes, sizeof header);
    file.header = json_loadb(file.bytes + 8, (size_t)header, 0, NULL);
    file.data   = file.bytes + 8 + header;
    if (file.header == NULL) plain_fail("no header", path);
    return file;
}

static inline void plain_close(plain_file *file)
{
    json_decref(file->header);
    free(file->bytes);
}

/* data is NULL when there is no such tensor */
static inline plain_tensor plain_get(const plain_file *file, const char *name)
{
    const json_t *entry  = json_object_get(file->header, name);
    plain_tensor  tensor = {NULL, SD_DTYPE_COUNT, {1, 1, 1, 1}};

    if (entry == NULL) return tensor;
    const json_t *shape = json_object_get(entry, "shape");
    const char   *dtype = json_string_value(json_object_get(entry, "dtype"));

    for (int type = 0; type < SD_DTYPE_COUNT; type++)
        if (strcmp(dtype, sd_dtype_name((sd_dtype)type)) == 0) tensor.type = (sd_dtype)type;
    for (size_t k = 0; k < json_array_size(shape) && k < 4; k++)
        tensor.shape[k] = json_integer_value(json_array_get(shape, k));
    tensor.data =
        file->data + json_integer_value(json_array_get(json_object_get(entry, "data_offsets"), 0));
    return tensor;
}

#endif
