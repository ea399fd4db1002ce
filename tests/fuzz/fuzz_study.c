#include "pipeline/study.h"
#include "solvers/base/memory.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sd_study       *study    = NULL;
    char           *settings = NULL;
    const sd_status st       = sd_study_parse((const char *)data, (int64_t)size, "f.yaml", &study);

    fuzz_outcome(st, SD_ERR_USAGE);
    if (st == SD_OK) fuzz_outcome(sd_study_settings(study, &settings), SD_ERR_USAGE);
    sd_free(settings);
    sd_study_destroy(&study);
    return 0;
}
