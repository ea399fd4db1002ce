/* config.json, read by every family, whichever it names. */
#include "io/model_config.h"
#include "pipeline/models/family.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sd_config       *config = NULL;
    const sd_family *family = NULL;
    const sd_status  st     = sd_config_parse((const char *)data, (int64_t)size, "f", &config);

    fuzz_outcome(st, SD_ERR_INPUT);
    if (st == SD_OK) fuzz_outcome(sd_family_find(config, &family), SD_ERR_INPUT);
    for (int k = 0; st == SD_OK && sd_families[k] != NULL; k++) {
        sd_model model = {0};

        fuzz_outcome(sd_families[k]->read_config(config, &model), SD_ERR_INPUT);
    }
    sd_config_destroy(&config);
    return 0;
}
