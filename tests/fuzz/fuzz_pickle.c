#include "tests/fuzz/fuzz.h"

#include "io/pickle.h"

static const sd_pickle_global globals[] = {
    {"torch._utils._rebuild_tensor_v2", true},
    {"torch.Size", true},
    {"torch.FloatStorage", false},
};

/* Looks at a value and what is in it, some levels deep. */
static void look_at(const sd_pickle *pickle, sd_pickle_value value, int depth)
{
    const sd_pickle_kind kind = sd_pickle_kind_of(value);
    int64_t              count;

    FUZZ_REQUIRE(kind > SD_PICKLE_NOTHING && kind <= SD_PICKLE_PERSISTENT);
    FUZZ_REQUIRE(sd_pickle_same(value, value));
    if (kind == SD_PICKLE_TEXT) {
        const char *text = sd_pickle_text(pickle, value, &count);

        FUZZ_REQUIRE(count == 0 || memchr(text, '\xff', (size_t)count) == NULL);
    }
    if (kind != SD_PICKLE_TUPLE && kind != SD_PICKLE_CALL && kind != SD_PICKLE_PERSISTENT) return;

    const sd_pickle_value *part = sd_pickle_parts(pickle, value, &count);
    FUZZ_REQUIRE(kind != SD_PICKLE_CALL ||
                 (count == 2 && sd_pickle_integer(part[0]) >= 0 && sd_pickle_integer(part[0]) < 2));
    for (int64_t k = 0; k < count && k < 4 && depth > 0; k++) look_at(pickle, part[k], depth - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sd_pickle      *pickle = NULL;
    sd_pickle_walk  walk   = {0};
    sd_pickle_entry entry;
    const sd_status st =
        sd_pickle_read((const char *)data, (int64_t)size, "p", globals, 3, &pickle);

    FUZZ_REQUIRE((st == SD_OK) == (pickle != NULL));
    fuzz_outcome(st, SD_ERR_INPUT);
    if (pickle == NULL) return 0;
    look_at(pickle, sd_pickle_root(pickle), 4);
    while (sd_pickle_next(pickle, &walk, &entry)) {
        FUZZ_REQUIRE(sd_pickle_kind_of(entry.dict) == SD_PICKLE_DICT &&
                     sd_pickle_kind_of(entry.key) == SD_PICKLE_TEXT);
        look_at(pickle, entry.key, 1);
        look_at(pickle, entry.value, 4);
    }
    sd_pickle_destroy(&pickle);
    return 0;
}
