/* Units become a study: numbers that hold along a run and to the parent, what is left out and why,
 * the order of failures, signatures, shortages. */
#include "pipeline/merge.h"

#include <inttypes.h>
#include <string.h>

#include "solvers/angle.h"
#include "solvers/base/memory.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

enum { D = 4, LAYERS = 3 };

static sd_study *study;

/* The study's runs as YAML; checkpoints need not exist, their units do. */
static void make_study(const char *runs)
{
    char    text[2048], *list = NULL;
    int64_t bytes;

    sd_study_destroy(&study);
    snprintf(text, sizeof text, "title: T\ntext: t\nruns:\n%s", runs);
    CHECK(sd_study_parse(text, (int64_t)strlen(text), scratch_path("s.yaml"), &study) == SD_OK);
    CHECK(sd_study_list(study, &list, &bytes) == SD_OK);
    CHECK(sd_study_fill(study, list, bytes) == SD_OK);
    fputs(sd_message(), stderr);
    sd_free(list);
}

/* A phase of a made unit: its states, and its direction at an angle in the plane of channels 0, 1
 */
typedef struct {
    int    first, last;
    double degrees;
} made_phase;

static void write_unit(const char *run, int64_t step, int64_t d, int n, const made_phase *phase)
{
    const sd_shape shape  = {LAYERS, d, 1, false};
    sd_unit       *unit   = NULL;
    char          *file   = NULL, folder[64];
    const double   radian = 57.29577951308232;

    CHECK(sd_unit_create(&shape, &unit) == SD_OK);
    unit->info.step       = step;
    unit->info.vocabulary = 49;
    unit->info.elapsed_s  = (double)step / 8;
    CHECK(sd_copy_string(run, &unit->info.run) == SD_OK);
    CHECK(sd_copy_string("an older path", &unit->info.path) == SD_OK);
    CHECK(sd_copy_string("xxh3-128:00", &unit->info.fingerprint) == SD_OK);
    CHECK(sd_copy_string("0123", &unit->info.key) == SD_OK);
    CHECK(sd_copy_string("llama", &unit->info.family) == SD_OK);
    for (int l = 0; l < LAYERS; l++) sd_unit_i32(unit, SD_V_ROLE_EXPLOSION)[l] = l < n ? l + 1 : 0;
    for (int k = 0; k < n; k++) {
        double *e = sd_unit_f64(unit, SD_V_PHASE_DIRECTION) + k * d;

        sd_unit_i32(unit, SD_V_PHASE_FIRST)[k] = phase[k].first;
        sd_unit_i32(unit, SD_V_PHASE_LAST)[k]  = phase[k].last;
        sd_unit_f64(unit, SD_V_PHASE_RATIO)[k] = 10 + phase[k].first;
        for (int64_t i = 0; i < d; i++) e[i] = 0;
        e[0] = cos(phase[k].degrees / radian);
        e[1] = sin(phase[k].degrees / radian);
    }
    snprintf(folder, sizeof folder, "out/units/%s", run);
    mkdir(scratch_path(folder), 0777);
    CHECK(sd_unit_path(scratch_path("out"), run, step, &file) == SD_OK);
    CHECK(sd_unit_write(unit, file) == SD_OK);
    fputs(sd_message(), stderr);
    sd_free(file);
    sd_unit_destroy(&unit);
}

#define PHASES(...)                                                                                \
    (const made_phase[])                                                                           \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* What became of the checkpoints, a letter each: '.' complete, 'x' failed. */
static sd_outcome outcome[16];

static void forget_outcomes(void)
{
    for (int i = 0; i < 16; i++) {
        sd_free(outcome[i].message);
        outcome[i] = (sd_outcome){0};
    }
}

static sd_status merge(const char *letters)
{
    const sd_provenance provenance = {
        "2020-01-01T00:00:00Z", "h", "l", "c", 1, 0, NULL, NULL, NULL};
    char text[32];

    forget_outcomes();
    for (int i = 0; letters[i] != '\0'; i++) {
        outcome[i].complete = letters[i] == '.';
        snprintf(text, sizeof text, "failure %d", i);
        if (!outcome[i].complete && sd_copy_string(text, &outcome[i].message) != SD_OK)
            return SD_ERR_RESOURCE;
    }
    return sd_merge(study, scratch_path("out"), outcome, &(sd_findings){0}, &provenance);
}

static void print_finding(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "unexpected finding: %s\n", line);
}

static sd_results *merged(const char *letters)
{
    sd_results *results = NULL;

    CHECK(merge(letters) == SD_OK);
    fputs(sd_message(), stderr);
    CHECK(sd_results_check(scratch_path("out/study.h5"), print_finding, NULL) == SD_OK);
    CHECK(sd_results_open(scratch_path("out/study.h5"), &results) == SD_OK);
    return results;
}

/* All steps of a variable of a run are as listed; NAN wants NaN. Angles lose some eps each. */
static void values_are(const sd_results *results, int64_t run, sd_variable_id id, int64_t n,
                       const double *want)
{
    double *got = NULL;

    CHECK(sd_results_read(results, run, id, &got) == SD_OK);
    for (int64_t i = 0; got != NULL && i < n; i++) {
        if (isnan(want[i]))
            CHECK(isnan(got[i]));
        else
            CLOSE(got[i], want[i], 1e-12); /* angle.h: 1e-13, and as much from the planted cosine */
    }
    sd_free(got);
}

#define VALUES(results, run, id, ...)                                                              \
    values_are(results, run, id, sizeof((double[]){__VA_ARGS__}) / sizeof(double),                 \
               (const double[]){__VA_ARGS__})

/* ---- along a run ---- */

static void angles_run_along_the_steps(void)
{
    make_study("- {name: a, checkpoints: [step_1, step_2, step_3, step_4]}");
    write_unit("a", 1, D, 0, NULL); /* before the phase is there */
    write_unit("a", 2, D, 1, PHASES({1, 2, 50}));
    write_unit("a", 3, D, 2, PHASES({3, 3, 0}, {1, 2, -10})); /* another one is stronger */
    write_unit("a", 4, D, 1, PHASES({1, 2, 20}));

    sd_results        *results = merged("....");
    const sd_run_info *run     = sd_results_run_info(results, 0);
    CHECK(run->n_steps == 4 && strcmp(run->path[0], "step_1") == 0 && run->step[3] == 4);
    CHECK(strcmp(run->family, "llama") == 0 && run->vocabulary == 49 && run->parent == NULL);
    VALUES(results, 0, SD_V_DIRECTION_TO_FINAL, NAN, 30, 30, 0);
    VALUES(results, 0, SD_V_DIRECTION_TO_PREVIOUS, NAN, NAN, 60, 30);
    VALUES(results, 0, SD_V_DIRECTION_TO_PARENT, NAN, NAN, NAN, NAN);
    VALUES(results, 0, SD_V_DIRECTION_TOP_CHANNEL, -1, 1, 0, 0);
    VALUES(results, 0, SD_V_PHASE_FIRST, -1, -1, -1, -1, 1, -1, -1, -1, 1, 3, -1, -1, 1, -1, -1,
           -1);
    VALUES(results, 0, SD_V_PHASE_RATIO, NAN, NAN, NAN, NAN, 11, NAN, NAN, NAN, 11, 13, NAN, NAN,
           11, NAN, NAN, NAN);
    VALUES(results, 0, SD_V_ROLE_EXPLOSION, 0, 0, 0, 1, 0, 0, 2, 1, 0, 1, 0, 0);

    double *participation = NULL;
    CHECK(sd_results_read(results, 0, SD_V_DIRECTION_PARTICIPATION, &participation) == SD_OK);
    const double c = pow(cos(50 / 57.29577951308232), 4), s = pow(sin(50 / 57.29577951308232), 4);
    CHECK(isnan(participation[0]));
    CLOSE(participation[1], 1 / (c + s), 1e-14); /* some roundings of numbers below 2 */
    sd_free(participation);
    sd_results_close(&results);
}

static void a_failed_step_leaves_a_gap(void)
{
    sd_results        *results = merged(".x..");
    const sd_run_info *run     = sd_results_run_info(results, 0);

    CHECK(run->n_steps == 3 && run->step[1] == 3);
    VALUES(results, 0, SD_V_DIRECTION_TO_PREVIOUS, NAN, NAN, 30);
    sd_results_close(&results);

    results = merged("...x"); /* the last complete one is what the others are held against */
    VALUES(results, 0, SD_V_DIRECTION_TO_FINAL, NAN, NAN, 0);
    VALUES(results, 0, SD_V_PHASE_FIRST, -1, -1, -1, -1, -1, 1, -1, -1, 3, 1, -1, -1);
    sd_results_close(&results);
}

/* ---- parents ---- */

static void a_fine_tune_is_held_against_its_parent(void)
{
    const char runs[] = "- {name: f, checkpoints: [step_7], parent: a}\n"
                        "- {name: a, checkpoints: [step_2, step_4]}\n"
                        "- {name: g, checkpoints: [step_7], parent: a, parent_step: 2}\n"
                        "- {name: w, checkpoints: [step_7], parent: a}\n";

    make_study(runs);
    write_unit("f", 7, D, 1, PHASES({1, 2, 25}));
    write_unit("g", 7, D, 1, PHASES({2, 2, 26}));
    write_unit("w", 7, D + 1, 1, PHASES({1, 2, 25})); /* a width that the parent has not */

    sd_results *results = merged(".....");
    VALUES(results, 0, SD_V_DIRECTION_TO_PARENT, 5);
    VALUES(results, 1, SD_V_DIRECTION_TO_PARENT, NAN, NAN);
    VALUES(results, 2, SD_V_DIRECTION_TO_PARENT, 24);
    VALUES(results, 3, SD_V_DIRECTION_TO_PARENT, NAN);
    CHECK(strcmp(sd_results_run_info(results, 2)->parent, "a") == 0);
    sd_results_close(&results);

    results = merged(".x..."); /* the step that g started from */
    VALUES(results, 0, SD_V_DIRECTION_TO_PARENT, 5);
    VALUES(results, 2, SD_V_DIRECTION_TO_PARENT, NAN);
    sd_results_close(&results);

    results = merged("..x.."); /* the last: its forerunner is no stand-in */
    VALUES(results, 0, SD_V_DIRECTION_TO_PARENT, NAN);
    VALUES(results, 2, SD_V_DIRECTION_TO_PARENT, 24);
    sd_results_close(&results);

    results = merged(".xx..");
    VALUES(results, 0, SD_V_DIRECTION_TO_PARENT, NAN);
    CHECK(sd_results_runs(results) == 3); /* a has no sizes, and no group */
    CHECK(strcmp(sd_results_run(results, 1), "g") == 0);
    CHECK(strcmp(sd_results_run_info(results, 0)->parent, "a") == 0);
    sd_results_close(&results);
}

/* ---- what is left out ---- */

/* Text of a dataset of the file, as h5dump shows it, holds the words in this order. */
static void file_says(const char *dataset, const char *const *words)
{
    char  command[2048], text[8192];
    FILE *dump;

    snprintf(command, sizeof command, "h5dump -w 0 -y -A 0 -d %s '%s'", dataset,
             scratch_path("out/study.h5"));
    dump = popen(command, "r");
    scratch_need(dump != NULL, "h5dump");
    text[fread(text, 1, sizeof text - 1, dump)] = '\0';
    CHECK(pclose(dump) == 0);
    const char *at = text;
    for (; *words != NULL; words++) {
        const char *found = strstr(at, *words);

        CHECK(found != NULL);
        if (found == NULL) fprintf(stderr, "no '%s' in: %s\n", *words, at);
        if (found != NULL) at = found + strlen(*words);
    }
}

#define SAYS(dataset, ...) file_says(dataset, (const char *const[]){__VA_ARGS__, NULL})

/* From now on what is said goes to a file. */
static int listen_in(void)
{
    const int terminal = dup(STDERR_FILENO);
    const int file     = open(scratch_path("said"), O_CREAT | O_TRUNC | O_WRONLY, 0666);

    scratch_need(terminal >= 0 && file >= 0 && dup2(file, STDERR_FILENO) >= 0, "said");
    close(file);
    return terminal;
}

/* Ends that; whether it was this and nothing else. */
static bool was_said(int terminal, const char *want)
{
    char        text[4096];
    FILE *const file = fopen(scratch_path("said"), "r");

    fflush(stderr);
    dup2(terminal, STDERR_FILENO);
    close(terminal);
    scratch_need(file != NULL, "said");
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return strcmp(text, want) == 0;
}

static void a_unit_of_other_sizes_has_failed(void)
{
    make_study("- {name: a, checkpoints: [step_2, step_4, step_5]}\n"
               "- {name: b, checkpoints: [step_1, step_2]}");
    write_unit("a", 4, D + 1, 1, PHASES({1, 2, 20}));
    write_unit("b", 1, D, 0, NULL);
    const int   terminal = listen_in();
    sd_results *results  = merged("....x");
    CHECK(was_said(terminal, "singdef: step_4: 3 layers of size 5, and the run's last checkpoint "
                             "has 3 of size 4: not of this run\n"));
    CHECK(sd_results_run_info(results, 0)->n_steps == 2);
    CHECK(sd_results_run_info(results, 0)->step[1] == 5);
    CHECK(!outcome[1].complete && outcome[1].message != NULL);
    CHECK(outcome[1].message != NULL &&
          strcmp(outcome[1].message, "3 layers of size 5, and the run's last checkpoint has 3 of "
                                     "size 4: not of this run") == 0);
    CHECK(outcome[0].complete && outcome[2].complete && outcome[3].complete);
    SAYS("/failures/run", "\"a\"", "\"b\"");
    SAYS("/failures/path", "\"step_4\"", "\"step_2\"");
    SAYS("/failures/step", "4, 2");
    SAYS("/failures/message", "3 layers of size 5", "failure 4");
    SAYS("/provenance/timings", "0.25, 0.625, 0.125"); /* step / 8, complete ones only */
    sd_results_close(&results);
}

static void failures_stand_in_the_studys_order(void)
{
    sd_results *results = merged("xxxxx");

    CHECK(sd_results_runs(results) == 0);
    SAYS("/failures/message", "failure 0", "failure 1", "failure 2", "failure 3", "failure 4");
    SAYS("/failures/step", "2, 4, 5, 1, 2");
    sd_results_close(&results);
}

/* ---- signatures ---- */

static void signatures_compare_what_can_be_compared(void)
{
    make_study("- {name: v, checkpoints: [step_1]}\n- {name: a, checkpoints: [step_2, step_5]}\n"
               "- {name: w, checkpoints: [step_7]}\n- {name: f, checkpoints: [step_7]}\n"
               "- {name: n, checkpoints: [step_1]}");
    write_unit("n", 1, D, 0, NULL); /* has no direction */
    write_unit("a", 5, D, 1, PHASES({1, 2, 20}));
    sd_results *results = merged("x.....");
    /* v has failed; a is the first with a size, w has another */
    SAYS("/signatures/name", "\"a\"", "\"f\"", "\"n\"");
    /* 20 and 25 degrees, and nothing; in four dimensions I_x(3/2, 1/2) at x = sin(5 degrees)^2 is
     * (2 t - sin 2 t) / pi with t = 5 degrees: 2.8163e-4, whose log10 is -3.5503 */
    SAYS("/signatures/distance", "0, 5, nan", "5, 0, nan", "nan, nan, nan");
    SAYS("/signatures/log10_chance", "-inf, -3.5503", ", nan", "-3.5503", ", -inf, nan");
    sd_results_close(&results);
}

/* ---- what goes wrong ---- */

static void a_damaged_unit_stops_the_merge_and_names_itself(void)
{
    scratch_text("out/units/n/1.h5", "no unit");
    sd_clear();
    CHECK(merge("x.....") == SD_ERR_CHECK);
    CHECK(strstr(sd_message(), "units/n/1.h5") != NULL);
    sd_clear();
    write_unit("n", 1, D, 0, NULL);
}

static void a_shortage_leaves_nothing_behind(void)
{
    sd_status st = SD_ERR_RESOURCE;
    int64_t   k  = 0;

    make_study("- {name: v, checkpoints: [step_1]}\n- {name: a, checkpoints: [step_5], parent: v}");
    while (st == SD_ERR_RESOURCE) {
        sd_clear();
        sd_alloc_fail_at(++k);
        st = merge("x.");
        CHECK(st == SD_OK || st == SD_ERR_RESOURCE);
    }
    sd_alloc_fail_at(0);
    sd_clear();
    CHECK(st == SD_OK && k > 100);
}

int main(void)
{
    scratch_open();
    scratch_folder("out");
    scratch_folder("out/units");
    angles_run_along_the_steps();
    a_failed_step_leaves_a_gap();
    a_fine_tune_is_held_against_its_parent();
    signatures_compare_what_can_be_compared();
    a_damaged_unit_stops_the_merge_and_names_itself();
    a_shortage_leaves_nothing_behind();
    a_unit_of_other_sizes_has_failed();
    failures_stand_in_the_studys_order();
    sd_study_destroy(&study);
    forget_outcomes();
    scratch_close();
    return REPORT();
}
