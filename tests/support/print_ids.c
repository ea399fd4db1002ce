/* print_ids TOKENIZER TEXT: one id per line, of the file TEXT. For tests/oracle/test_tokenizer.py
 * and test_gguf_ids.py. */
#include <inttypes.h>
#include <stdio.h>

#include "io/text.h"
#include "io/tokenizer/tokenizer.h"
#include "solvers/base/memory.h"

int main(int argc, char **argv)
{
    sd_status     st        = SD_OK;
    sd_tokenizer *tokenizer = NULL;
    char         *text      = NULL;
    int32_t      *id        = NULL;
    int64_t       length = 0, count = 0;

    SD_REQUIRE(argc == 3, SD_ERR_USAGE, "usage: print_ids TOKENIZER TEXT");
    SD_TRY(sd_tokenizer_read(argv[1], &tokenizer));
    SD_TRY(sd_text_read(argv[2], &text, &length));
    SD_TRY(sd_tokenizer_encode(tokenizer, text, length, &id, &count));
    for (int64_t i = 0; i < count; i++) printf("%" PRId32 "\n", id[i]);

done:
    if (st != SD_OK) fprintf(stderr, "%s\n", sd_message());
    sd_free(id);
    sd_free(text);
    sd_tokenizer_destroy(&tokenizer);
    return sd_exit_code(st);
}
