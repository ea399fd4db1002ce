/*
 * print_tensors CHECKPOINT BYTES: every tensor as the program reads it, in pieces of so many bytes:
 * a line "name format type shape bytes", and the bytes. For tests/oracle/test_gguf_blocks.py.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/checkpoint.h"
#include "solvers/base/memory.h"

static sd_status print_tensor(const sd_checkpoint *c, int64_t i, int64_t most)
{
    sd_status             st    = SD_OK;
    const sd_tensor_info *info  = sd_checkpoint_tensor(c, i);
    char                 *bytes = NULL;

    printf("%s %s %d ", info->name, info->format, info->type);
    for (int k = 0; k < info->n_dims; k++) printf("%s%" PRId64, k > 0 ? "," : "", info->shape[k]);
    printf(" %" PRId64 "\n", info->bytes);
    SD_TRY(sd_alloc(most, 1, &bytes));
    for (int64_t at = 0; at < info->bytes; at += most) {
        const int64_t count = info->bytes - at < most ? info->bytes - at : most;

        SD_TRY(sd_checkpoint_read(c, i, at, count, bytes));
        fwrite(bytes, (size_t)count, 1, stdout);
    }

done:
    sd_free(bytes);
    return st;
}

int main(int argc, char **argv)
{
    sd_status      st   = SD_OK;
    sd_checkpoint *c    = NULL;
    const int64_t  most = argc == 3 ? strtoll(argv[2], NULL, 10) : 0;

    SD_REQUIRE(most > 0, SD_ERR_USAGE, "usage: print_tensors CHECKPOINT BYTES");
    SD_TRY(sd_checkpoint_open(argv[1], &c));
    for (int64_t i = 0; i < sd_checkpoint_count(c); i++) SD_TRY(print_tensor(c, i, most));

done:
    if (st != SD_OK) fprintf(stderr, "%s\n", sd_message());
    sd_checkpoint_close(&c);
    return sd_exit_code(st);
}
