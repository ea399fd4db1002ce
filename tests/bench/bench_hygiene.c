/*
 * Times what the hygiene checks cost on cold files: bench_hygiene [MODEL | MIB [TENSORS]]
 * Prints seconds, MB/s and the ratio to a plain reading for: the plain reading; with the hash; with
 * hash and the checks of `singdef inspect`; the sample of `singdef run`. Without a MODEL it writes
 * one of 512 MiB in 256 tensors of BF16. Each is timed in turn, seven times, after the file was
 * dropped from the cache (posix_fadvise), and the least counts.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "io/fingerprint.h"
#include "io/tensor_sample.h"
#include "io/tensor_scan.h"
#include "solvers/base/memory.h"
#include "solvers/base/random.h"
#include "tests/support/scratch.h"

enum { REPEATS = 7, WAYS = 4 };

static double now_s(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void need(sd_status st)
{
    if (st == SD_OK) return;
    fprintf(stderr, "%s\n", sd_message());
    exit(1);
}

/* model.safetensors of random bits whose exponents are those of weights, and the least config. */
static void write_model(int64_t mib, int64_t tensors)
{
    const int64_t   each   = (mib << 20) / tensors / 2;
    const sd_random table  = {1, 1};
    uint16_t       *value  = malloc((size_t)each * 2);
    char           *header = malloc((size_t)tensors * 128 + 16), *to = header + 8;

    if (value == NULL || header == NULL) exit(4);
    scratch_text("config.json", "{}");
    to += sprintf(to, "{");
    for (int64_t i = 0; i < tensors; i++)
        to += sprintf(
            to,
            "%s\"t%04lld\":{\"dtype\":\"BF16\",\"shape\":[%lld,1],\"data_offsets\":[%lld,%lld]}",
            i > 0 ? "," : "", (long long)i, (long long)each, (long long)(i * each * 2),
            (long long)((i + 1) * each * 2));
    to += sprintf(to, "}");
    const uint64_t length = (uint64_t)(to - header - 8);
    memcpy(header, &length, 8);
    FILE *file = fopen(scratch_path("model.safetensors"), "wb");
    scratch_need(file != NULL && fwrite(header, 8 + length, 1, file) == 1, "write");
    for (int64_t i = 0; i < each; i++)
        value[i] = (uint16_t)((sd_random_bits(&table, (uint64_t)i, 0) & 0x80ff) | 0x3c00);
    for (int64_t i = 0; i < tensors; i++) {
        value[0] = (uint16_t)(0x3c00 + i % 256);
        scratch_need(fwrite(value, (size_t)each * 2, 1, file) == 1, "write");
    }
    scratch_need(fflush(file) == 0 && fsync(fileno(file)) == 0 && fclose(file) == 0, "write");
    free(header);
    free(value);
}

static void make_cold(const sd_checkpoint *checkpoint)
{
    for (int64_t k = 0; k < sd_checkpoint_files(checkpoint); k++) {
        char *path = NULL;

        need(sd_checkpoint_file_path(checkpoint, k, &path));
        const int fd = open(path, O_RDONLY);
        scratch_need(fd >= 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0, path);
        close(fd);
        sd_free(path);
    }
}

static void read_plainly(const sd_checkpoint *checkpoint, int64_t i)
{
    static char   piece[SD_PIECE_BYTES];
    const int64_t bytes = sd_checkpoint_tensor(checkpoint, i)->bytes;

    for (int64_t at = 0; at < bytes; at += SD_PIECE_BYTES)
        need(sd_checkpoint_read(checkpoint, i, at,
                                bytes - at < SD_PIECE_BYTES ? bytes - at : SD_PIECE_BYTES, piece));
}

static double time_way(const sd_checkpoint *checkpoint, int way, double *cpu_s)
{
    sd_tensor_scan   scan;
    sd_tensor_sample sample;
    char             hex[SD_XXH128_HEX];

    make_cold(checkpoint);
    const double begin = now_s(CLOCK_MONOTONIC), cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
    for (int64_t i = 0; way == 3 && i < sd_checkpoint_count(checkpoint); i++)
        sd_tensor_sample_prefetch(checkpoint, i);
    for (int64_t i = 0; i < sd_checkpoint_count(checkpoint); i++) {
        if (way == 0) read_plainly(checkpoint, i);
        if (way == 1) need(sd_tensor_digest(checkpoint, i, false, NULL, hex));
        if (way == 2) need(sd_tensor_scan_read(checkpoint, i, false, NULL, &scan));
        if (way == 3) need(sd_tensor_sample_read(checkpoint, i, &sample));
    }
    *cpu_s = now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    return now_s(CLOCK_MONOTONIC) - begin;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static const char *const names[WAYS] = {"plain reading", "with the hash",
                                            "with hash and checks", "sample"};
    const char              *path        = argc > 1 && atol(argv[1]) == 0 ? argv[1] : NULL;
    sd_checkpoint           *checkpoint  = NULL;
    double                   seconds[WAYS][REPEATS], cpu[WAYS][REPEATS];

    scratch_open();
    if (path == NULL) write_model(argc > 1 ? atol(argv[1]) : 512, argc > 2 ? atol(argv[2]) : 256);
    need(sd_checkpoint_open(path != NULL ? path : scratch_path("."), &checkpoint));
    for (int r = 0; r < REPEATS; r++)
        for (int way = 0; way < WAYS; way++)
            seconds[way][r] = time_way(checkpoint, way, &cpu[way][r]);
    for (int way = 0; way < WAYS; way++) {
        qsort(seconds[way], REPEATS, sizeof(double), by_size);
        qsort(cpu[way], REPEATS, sizeof(double), by_size);
        const double least = seconds[way][0];
        printf("%-22s %8.3f s  %8.0f MB/s  ratio %.3f  CPU %.3f s\n", names[way], least,
               1e-6 * (double)sd_checkpoint_bytes(checkpoint) / least, least / seconds[0][0],
               cpu[way][0]);
    }
    sd_checkpoint_close(&checkpoint);
    scratch_close();
    return 0;
}
