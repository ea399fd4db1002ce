/* The tokeniser in a GGUF file, and a text that meets most of what one can ask for. */
#include "io/tokenizer/tokenizer_parts.h"
#include "solvers/base/memory.h"
#include "tests/fuzz/fuzz.h"

/* By the reader itself: sd_tokenizer_read() knows a GGUF file by the end of its name. */
static sd_status read_file(const char *path, sd_tokenizer **out)
{
    sd_status st = SD_OK;

    SD_TRY(sd_alloc(1, sizeof **out, out));
    sd_added_tokens_init(&(*out)->added);
    SD_TRY(sd_copy_string(path, &(*out)->path));
    SD_TRY(sd_tokenizer_take_gguf(*out));

done:
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "The cat's 12345 cats,\tÄÖ ab\r\n\n  <|end|> 日本語 e\xcc\x81 a+b=c "
                               "\xe2\x96\x81the <s>   aaaa !!";

    sd_tokenizer   *tokenizer = NULL;
    int32_t        *ids       = NULL;
    int64_t         count     = 0;
    const sd_status st        = read_file(fuzz_file(data, size), &tokenizer);

    fuzz_outcome(st, SD_ERR_INPUT);
    if (st == SD_OK) {
        const int64_t   known   = sd_tokenizer_size(tokenizer);
        const sd_status encoded = sd_tokenizer_encode(tokenizer, text, sizeof text, &ids, &count);

        fuzz_outcome(encoded, SD_ERR_INPUT);
        for (int64_t i = 0; encoded == SD_OK && i < count; i++)
            FUZZ_REQUIRE(ids[i] >= 0 && ids[i] < known);
        sd_free(ids);
    }
    sd_tokenizer_destroy(&tokenizer);
    return 0;
}
