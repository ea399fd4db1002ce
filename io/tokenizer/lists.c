#include "io/tokenizer/lists.h"

#include <string.h>

#include "solvers/base/memory.h"

sd_status sd_list_reserve(void *memory, int64_t used, int64_t count, int64_t size,
                          int64_t *capacity)
{
    sd_status st  = SD_OK;
    void     *old = NULL, *grown = NULL;

    if (count <= *capacity) return SD_OK;
    int64_t wanted = *capacity < 16 ? 16 : *capacity;
    while (wanted < count) wanted = wanted > INT64_MAX / 2 ? count : wanted * 2;
    SD_TRY(sd_alloc(wanted, size, &grown));

    memcpy(&old, memory, sizeof old); /* `memory` addresses a pointer of any type */
    if (used > 0) memcpy(grown, old, (size_t)(used * size));
    sd_free(old);
    memcpy(memory, &grown, sizeof grown);
    *capacity = wanted;

done:
    return st;
}

sd_status sd_bytes_append(sd_bytes *list, const char *bytes, int64_t count)
{
    sd_status st = SD_OK;

    SD_TRY(sd_list_reserve(&list->at, list->count, list->count + count, 1, &list->capacity));
    if (count > 0) memcpy(list->at + list->count, bytes, (size_t)count);
    list->count += count;

done:
    return st;
}

void sd_bytes_clear(sd_bytes *list)
{
    sd_free(list->at);
    *list = (sd_bytes){0};
}

sd_status sd_spans_push(sd_spans *list, int64_t start, int64_t stop, bool is_match)
{
    sd_status st = SD_OK;

    SD_TRY(sd_list_reserve(&list->at, list->count, list->count + 1, sizeof *list->at,
                           &list->capacity));
    list->at[list->count++] = (sd_span){start, stop, is_match};

done:
    return st;
}

void sd_spans_clear(sd_spans *list)
{
    sd_free(list->at);
    *list = (sd_spans){0};
}

const char *sd_quote(const char *text, int64_t length, char *out, int64_t size)
{
    const bool is_cut = length > size - 1;
    int64_t    kept   = is_cut ? size - 4 : length;

    while (is_cut && kept > 0 && ((unsigned char)text[kept] & 0xC0) == 0x80) kept--;
    for (int64_t i = 0; i < kept; i++) {
        const unsigned char byte = (unsigned char)text[i];
        out[i]                   = byte < 0x20 || byte == 0x7F ? '?' : text[i];
    }
    memcpy(out + kept, "...", is_cut ? 4 : 1);
    if (!is_cut) out[kept] = '\0';
    return out;
}
