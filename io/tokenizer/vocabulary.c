#include "io/tokenizer/vocabulary.h"

#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#include "solvers/base/memory.h"

enum { FIRST_SLOTS = 1024 };

sd_status sd_vocabulary_init(sd_vocabulary *vocabulary)
{
    *vocabulary         = (sd_vocabulary){.largest_id = -1};
    vocabulary->n_slots = FIRST_SLOTS;
    if (getrandom(&vocabulary->seed, sizeof vocabulary->seed, GRND_NONBLOCK) < 0)
        vocabulary->seed = 0; /* early after a boot: as good, but for files made to be slow */
    return sd_alloc(FIRST_SLOTS, sizeof *vocabulary->slot, &vocabulary->slot);
}

void sd_vocabulary_clear(sd_vocabulary *vocabulary)
{
    sd_bytes_clear(&vocabulary->keys);
    sd_free(vocabulary->entry);
    sd_free(vocabulary->slot);
    *vocabulary = (sd_vocabulary){.largest_id = -1};
}

/* The slot that holds the token, or the empty one where it belongs; some slot is always empty. */
static int64_t find_slot(const sd_vocabulary *vocabulary, const char *token, int64_t length)
{
    const uint64_t mask = (uint64_t)vocabulary->n_slots - 1;
    uint64_t       at   = XXH3_64bits_withSeed(token, (size_t)length, vocabulary->seed) & mask;

    for (;; at = (at + 1) & mask) {
        const int64_t number = vocabulary->slot[at];
        if (number == 0) return (int64_t)at;
        const sd_vocabulary_entry *entry = &vocabulary->entry[number - 1];
        if (entry->length == length &&
            memcmp(vocabulary->keys.at + entry->start, token, (size_t)length) == 0)
            return (int64_t)at;
    }
}

static sd_status grow(sd_vocabulary *vocabulary)
{
    sd_status st   = SD_OK;
    int64_t  *slot = NULL;

    SD_TRY(sd_alloc(vocabulary->n_slots * 2, sizeof *slot, &slot));
    sd_free(vocabulary->slot);
    vocabulary->slot = slot;
    vocabulary->n_slots *= 2;
    for (int64_t i = 0; i < vocabulary->count; i++) {
        const sd_vocabulary_entry *entry = &vocabulary->entry[i];
        slot[find_slot(vocabulary, vocabulary->keys.at + entry->start, entry->length)] = i + 1;
    }

done:
    return st;
}

sd_status sd_vocabulary_add(sd_vocabulary *vocabulary, const char *token, int64_t length,
                            int32_t id)
{
    sd_status     st    = SD_OK;
    const int64_t start = vocabulary->keys.count;

    if (2 * (vocabulary->count + 1) > vocabulary->n_slots) SD_TRY(grow(vocabulary));
    SD_TRY(sd_list_reserve(&vocabulary->entry, vocabulary->count, vocabulary->count + 1,
                           sizeof *vocabulary->entry, &vocabulary->capacity));
    SD_TRY(sd_bytes_append(&vocabulary->keys, token, length));

    vocabulary->entry[vocabulary->count] = (sd_vocabulary_entry){start, length, id};
    vocabulary->slot[find_slot(vocabulary, token, length)] = ++vocabulary->count;
    if (id > vocabulary->largest_id) vocabulary->largest_id = id;

done:
    return st;
}

int32_t sd_vocabulary_find(const sd_vocabulary *vocabulary, const char *token, int64_t length)
{
    const int64_t number = vocabulary->slot[find_slot(vocabulary, token, length)];

    return number == 0 ? -1 : vocabulary->entry[number - 1].id;
}
