/* study.h5 as it is written and read back. With an argument: writes the tests' study there, for
 * other programs to read. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/make_study.h"

static void runs_keep_their_order_and_their_facts(const char *file)
{
    sd_results *results = NULL;

    CHECK(sd_results_open(file, &results) == SD_OK);
    if (results == NULL) return;
    CHECK(strcmp(sd_results_title(results), "A t\xC3\xACtle") == 0);
    CHECK(sd_results_runs(results) == 3);
    CHECK(strcmp(sd_results_run(results, 0), "zeta") == 0);
    CHECK(strcmp(sd_results_run(results, 1), "alpha") == 0);
    CHECK(strcmp(sd_results_run(results, 2), "empty") == 0);
    const sd_run_info *run = sd_results_run_info(results, 1);
    CHECK(run->shape.n_layers == 2 && run->shape.d == 7 && run->shape.n_triplets == 7 &&
          !run->shape.subspace);
    CHECK(run->vocabulary == 50 && run->n_steps == 1 && run->step[0] == 200);
    CHECK(strcmp(run->path[0], "b/\xC3\xA9 x/step_200") == 0);
    CHECK(strcmp(run->fingerprint[0], "xxh3-128:f") == 0);
    CHECK(strcmp(run->parent, "zeta") == 0 && strcmp(run->family, "llama") == 0);
    run = sd_results_run_info(results, 0);
    CHECK(run->parent == NULL && run->n_steps == 3 && run->step[2] == 13000 && run->shape.subspace);
    CHECK(strcmp(run->path[1], "a/step_000250") == 0);
    sd_results_close(&results);
}

static void every_value_comes_back_from_its_place(const char *file)
{
    sd_results *results = NULL;

    CHECK(sd_results_open(file, &results) == SD_OK);
    for (int64_t r = 0; results != NULL && r < sd_results_runs(results); r++) {
        const sd_run_info *run = sd_results_run_info(results, r);
        for (int id = 0; id < SD_V_COUNT; id++) {
            double       *values = NULL;
            const int64_t n      = sd_variable_elements((sd_variable_id)id, &run->shape);
            if (!sd_variable_is_asked((sd_variable_id)id, &run->shape)) continue;
            CHECK(sd_results_read(results, r, (sd_variable_id)id, &values) == SD_OK);
            for (int64_t s = 0; values != NULL && s < run->n_steps; s++)
                for (int64_t i = 0; i < n; i++) /* float32 holds integers up to 2^24 */
                    CHECK(values[s * n + i] == study_value(id, s, i));
            sd_free(values);
        }
    }
    sd_results_close(&results);
}

static void findings_come_back(const char *file)
{
    sd_results       *results = NULL;
    int64_t           n       = -1;
    const sd_finding *found;

    CHECK(sd_results_open(file, &results) == SD_OK);
    if (results == NULL) return;
    found = sd_results_findings(results, &n);
    CHECK(n == 2);
    CHECK(strcmp(found[0].run, "zeta") == 0 && strcmp(found[0].kind, "identical") == 0);
    CHECK(found[0].step == 13000 && strcmp(found[0].message, "the same as step 250") == 0);
    CHECK(strcmp(found[1].path, "b/\xC3\xA9 x/step_200") == 0 && found[1].step == 100);
    sd_results_close(&results);
}

static int findings;

static void print_finding(void *context, const char *line)
{
    (void)context;
    findings++;
    fprintf(stderr, "unexpected finding: %s\n", line);
}

static void the_check_finds_nothing(const char *file)
{
    CHECK(sd_results_check(file, print_finding, NULL) == SD_OK);
    CHECK(findings == 0);
}

static void nothing_else_stays_in_the_folder(const char *folder, int want)
{
    int  n           = 0;
    DIR *open_folder = opendir(folder);
    for (struct dirent *entry; (entry = readdir(open_folder)) != NULL;)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(open_folder);
    CHECK(n == want);
}

int main(int argc, char **argv)
{
    char folder[] = "test_study_file.XXXXXX", file[64];

    if (argc > 1) return sd_exit_code(study_make(argv[1], argc > 2 ? argv[2] : "somewhere"));
    if (mkdtemp(folder) == NULL) return 1;
    snprintf(file, sizeof file, "%s/study.h5", folder);
    CHECK(study_make(file, "here") == SD_OK);
    fputs(sd_message(), stderr);
    runs_keep_their_order_and_their_facts(file);
    every_value_comes_back_from_its_place(file);
    findings_come_back(file);
    the_check_finds_nothing(file);
    nothing_else_stays_in_the_folder(folder, 1);
    unlink(file);
    rmdir(folder);
    return REPORT();
}
