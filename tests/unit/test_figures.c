/*
 * Figures: the data are the study's numbers, the pictures are whole, names stay what they are, the
 * same study gives the same bytes, and a study with nothing to show says so.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/results.h"
#include "pipeline/figures.h"
#include "pipeline/figures/figure.h"
#include "pipeline/gnuplot.h"
#include "solvers/base/memory.h"
#include "tests/support/check.h"

enum { N_LAYERS = 4, D = 6, N_STEPS = 4, PATH_LEN = 512 };

#define BASE "a_b^{2} \xC3\xA9 'x' \"y\""
#define CHILD "tuned @home `ls` $HOME"

static const sd_shape    shape   = {N_LAYERS, D, 2, true};
static const int64_t     steps[] = {0, 100, 2000, 5000};
static const char *const paths[] = {"p0", "p1", "p2", "p3"};
static const char *const all[] = {"pdf", "svg", "png", NULL}, *const svg[] = {"svg", NULL},
                         *const none[] = {NULL};

static char folder[PATH_LEN];

/* ---- a small study: a phase from the second step on, raised by layer 2, taken away by layer 4
 * ---- */

static double initial_mean(int64_t step, int64_t state)
{
    return 1 + 0.1 * (double)state + (state == 2 || state == 3 ? 10.0 * (double)step : 0);
}

static double other_median(int64_t state)
{
    return 1 + 0.25 * (double)state;
}

/* Element i of a variable at a step of a run that has its phase from step `from` on. */
static double value_of(sd_variable_id id, int64_t step, int64_t i, int64_t from)
{
    const bool    phase   = step >= from;
    const int64_t n_phase = sd_dim_length(SD_DIM_PHASE, &shape);
    switch (id) {
    case SD_V_NORM_INITIAL_MEAN: return initial_mean(step, i);
    case SD_V_NORM_OTHER_MEDIAN: return other_median(i);
    case SD_V_NORM_OTHER_MAX: return 2 + (double)i;
    case SD_V_PHASE_PLATEAU_FIRST: return phase && i == 0 ? 2 : -1;
    case SD_V_PHASE_PLATEAU_LAST: return phase && i == 0 ? 3 : -1;
    case SD_V_PHASE_RATIO: return phase && i == 0 ? 5.0 * (double)step : NAN;
    case SD_V_DIRECTION_TO_FINAL: return phase ? 30.0 - 10 * (double)step : NAN;
    case SD_V_DIRECTION_TO_PREVIOUS: return step > from ? 10 : NAN;
    case SD_V_DIRECTION_TO_PARENT: return phase ? 1.5 : NAN;
    case SD_V_DIRECTION_PER_STATE: /* turns with the steps, in state 2 only */
        return i % D == 0 ? 1 : i % D == 1 && i / D == 2 ? 3 - (double)step : 0;
    case SD_V_ROLE_EXPLOSION: return phase && i == 1;
    case SD_V_ROLE_DECAY: return phase && i == 3;
    case SD_V_SUBSPACE_SIGMA: return phase && i / D == 1 ? 12.0 / (double)(i % D + 1) : NAN;
    case SD_V_SUBSPACE_RESPONSE:
        return phase && i / (2 * D) == 1 ? 900.0 / (double)(i % (2 * D) + 1) : NAN;
    case SD_V_ROLE_WEIGHT_GAP: return 1.5 + (double)(i * step);
    case SD_V_LINEAR_ANGLE: return phase && i % n_phase == 0 ? 12.5 + (double)i : NAN;
    case SD_V_LINEAR_ANGLE_AXIS: return phase && i % n_phase == 0 ? 60 : NAN;
    case SD_V_LINEAR_ANGLE_DEFLATED: return phase && i % n_phase == 0 ? 20 : NAN;
    case SD_V_DECAY_PAPER_EIGENVALUE: return phase && i % (2 * n_phase) == 0 ? 512 : NAN;
    case SD_V_DECAY_SUM_EIGENVALUE: return phase && i % (2 * n_phase) == 0 ? -293 : NAN;
    case SD_V_DECAY_SCALED_EIGENVALUE: return phase && i % (2 * n_phase) == 0 ? -0.31 : NAN;
    case SD_V_DECAY_PAPER_ANGLE:
    case SD_V_DECAY_SUM_ANGLE:
    case SD_V_DECAY_SCALED_ANGLE: return phase && i % n_phase == 0 ? 8 : NAN;
    case SD_V_DECAY_TRUE_CHANGE: return phase && i % n_phase == 0 ? -0.63 : NAN;
    default: return NAN;
    }
}

static sd_status put_variable(sd_study_file *file, int64_t step, sd_variable_id id, int64_t from)
{
    sd_status     st    = SD_OK;
    const int64_t n     = sd_variable_elements(id, &shape);
    void         *value = NULL;
    SD_TRY(sd_alloc(n, 8, &value));
    for (int64_t i = 0; i < n; i++) {
        const double x = value_of(id, step, i, from);
        switch (sd_variables[id].type) {
        case SD_TYPE_F64: ((double *)value)[i] = x; break;
        case SD_TYPE_F32: ((float *)value)[i] = (float)x; break;
        case SD_TYPE_I32: ((int32_t *)value)[i] = isnan(x) ? -1 : (int32_t)x; break;
        }
    }
    SD_TRY(sd_study_file_put(file, step, id, value));
done:
    sd_free(value);
    return st;
}

static sd_status put_run(sd_study_file *file, const char *name, const char *parent, int64_t n_steps,
                         int64_t from)
{
    sd_status         st   = SD_OK;
    const sd_run_info info = {name, "llama", parent, shape, 10, n_steps, steps, paths, paths};
    SD_TRY(sd_study_file_add_run(file, &info));
    for (int id = 0; id < SD_V_COUNT; id++)
        for (int64_t s = 0; s < n_steps; s++)
            SD_TRY(put_variable(file, s, (sd_variable_id)id, from));
    SD_TRY(sd_study_file_end_run(file));
done:
    return st;
}

/* Makes folder/study.h5: a run of n_steps, with a phase from step `from` on, and one that goes on.
 */
static sd_status make_study(int64_t n_steps, int64_t from, bool child, sd_results **out)
{
    static const char *const no_names[]   = {""};
    static const double      no_seconds[] = {0};
    const sd_provenance      provenance   = {"now", "here",   "lib", "run",     1,
                                             0,     no_names, steps, no_seconds};
    sd_status                st           = SD_OK;
    sd_study_file           *file         = NULL;
    char                     path[PATH_LEN + 16];
    snprintf(path, sizeof path, "%s/study.h5", folder);
    SD_TRY(sd_study_file_create(path, "t", "title: t\n", &file));
    SD_TRY(sd_study_file_put_version(file, "0"));
    SD_TRY(put_run(file, BASE, NULL, n_steps, from));
    if (child) SD_TRY(put_run(file, CHILD, BASE, 2, from > 0 ? N_STEPS : 0));
    SD_TRY(sd_study_file_put_failures(file, 0, NULL));
    SD_TRY(sd_study_file_put_findings(file, 0, NULL));
    SD_TRY(sd_study_file_put_signatures(file, 0, NULL, NULL, NULL));
    SD_TRY(sd_study_file_put_provenance(file, &provenance));
    SD_TRY(sd_study_file_commit(file));
    SD_TRY(sd_results_open(path, out));
done:
    sd_study_file_destroy(&file);
    return st;
}

static sd_status draw(int64_t n_steps, int64_t from, bool child, const char *where,
                      const char *const *formats)
{
    sd_status   st      = SD_OK;
    sd_results *results = NULL;
    char        path[PATH_LEN + 64];
    snprintf(path, sizeof path, "%s/%s", folder, where);
    SD_TRY(make_study(n_steps, from, child, &results));
    SD_TRY(sd_figures_draw(results, path, formats));
done:
    sd_results_close(&results);
    return st;
}

/* ---- files ---- */

/* The text of folder/WHERE/NAME.EXT, "" when there is none; the caller's until the next call but
 * one. */
static const char *text_of(const char *where, const char *name, const char *ext, size_t *length)
{
    static char buffer[2][1 << 20];
    static int  turn;
    char        path[2 * PATH_LEN];
    turn = 1 - turn;
    snprintf(path, sizeof path, "%s/%s/%s.%s", folder, where, name, ext);
    FILE  *file = fopen(path, "rb");
    size_t n    = file != NULL ? fread(buffer[turn], 1, sizeof buffer[turn] - 1, file) : 0;
    if (file != NULL) fclose(file);
    buffer[turn][n] = '\0';
    if (length != NULL) *length = n;
    return buffer[turn];
}

static bool is_there(const char *where, const char *name, const char *ext)
{
    char path[2 * PATH_LEN];
    snprintf(path, sizeof path, "%s/%s/%s.%s", folder, where, name, ext);
    return access(path, F_OK) == 0;
}

static bool is_picture(const char *where, const char *name, const char *format)
{
    size_t      n    = 0;
    const char *text = text_of(where, name, format, &n);
    if (strcmp(format, "png") == 0) return n > 1000 && memcmp(text, "\x89PNG\r\n\x1a\n", 8) == 0;
    if (strcmp(format, "pdf") == 0) return n > 1000 && memcmp(text, "%PDF-", 5) == 0;
    return strstr(text, "<svg") != NULL && strstr(text, "</svg>") != NULL;
}

/* Number of files whose name begins with a dot: temporaries. */
static int count_hidden(const char *where)
{
    char path[2 * PATH_LEN];
    int  n = 0;
    snprintf(path, sizeof path, "%s/%s", folder, where);
    DIR *dir = opendir(path);
    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir))
        n += e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (dir != NULL) closedir(dir);
    return n;
}

/* ---- tests ---- */

static void every_figure_leaves_pictures_script_data_and_caption(void)
{
    CHECK(draw(N_STEPS, 1, true, "whole", all) == SD_OK);
    for (const sd_figure *const *figure = sd_figures; *figure != NULL; figure++) {
        const char *name = (*figure)->name;
        for (const char *const *format = all; *format != NULL; format++)
            CHECK(is_picture("whole", name, *format));
        CHECK(strncmp(text_of("whole", name, "gp", NULL), "# ", 2) == 0);
        CHECK(text_of("whole", name, "tsv", NULL)[0] == '#');
        CHECK(strstr(text_of("whole", name, "txt", NULL), "Not drawn") == NULL);
    }
    CHECK(count_hidden("whole") == 0);
}

static void the_same_study_gives_the_same_bytes(void)
{
    static const char *const extensions[] = {"pdf", "svg", "png", "gp", "tsv", "txt", NULL};
    sleep(1); /* a clock in a picture would show */
    CHECK(draw(N_STEPS, 1, true, "again 'quoted' \xC3\xA9", all) == SD_OK);
    for (const sd_figure *const *figure = sd_figures; *figure != NULL; figure++)
        for (const char *const *ext = extensions; *ext != NULL; ext++) {
            size_t      n = 0, m = 0;
            const char *one = text_of("whole", (*figure)->name, *ext, &n);
            const char *two = text_of("again 'quoted' \xC3\xA9", (*figure)->name, *ext, &m);
            CHECK(n > 0 && n == m && memcmp(one, two, n) == 0);
        }
}

static void a_script_draws_its_figure_again_without_a_warning(void)
{
    char command[2 * PATH_LEN];
    for (const sd_figure *const *figure = sd_figures; *figure != NULL; figure++) {
        const char *name = (*figure)->name;
        snprintf(command, sizeof command,
                 "cd '%s/whole' && mv %s.png old.png && LC_ALL=C.UTF-8 gnuplot -d %s.gp > log.txt "
                 "2>&1 && "
                 "test ! -s log.txt && cmp -s %s.png old.png",
                 folder, name, name, name);
        CHECK(system(command) == 0);
    }
}

static void the_data_are_the_study_s_numbers(void)
{
    /* The last step's panel: states 0 to 4 with their three norms, nine digits. */
    const char *text = strstr(text_of("whole", "norms", "tsv", NULL), "\"step 5000\"");
    CHECK(text != NULL);
    for (int state = 0; text != NULL && state <= N_LAYERS; state++) {
        int    got_state = -1;
        double mean = 0, median = 0, largest = 0;
        text = strchr(text, '\n');
        if (text == NULL) break;
        text++;
        CHECK(sscanf(text, "%d\t\"\"\t%lf\t%lf\t%lf", &got_state, &mean, &median, &largest) == 4);
        CHECK(got_state == state);
        CLOSE(mean, initial_mean(3, state), 1e-7);
        CLOSE(median, other_median(state), 1e-7);
        CLOSE(largest, 2 + state, 1e-7);
    }
    /* The child starts at its parent's last point, 31.2 / 1.5 = 20.8, and counts on from 5000. */
    text = strstr(text_of("whole", "emergence", "tsv", NULL), "tuned @home");
    CHECK(text != NULL && strstr(text, "0\t5000\t20.8\t15\t0\n") != NULL);
    /* Layer 4 is the decay layer; each map in its place. */
    text = strstr(text_of("whole", "decay", "tsv", NULL), "\"layer 4\"");
    CHECK(text != NULL && strstr(text, "0\t\"\"\tNaN\tNaN\tNaN\tNaN\tNaN\tNaN\tNaN\n") != NULL);
    CHECK(text != NULL && strstr(text, "5000\t\"\"\t-0.63\t512\t8\t-293\t8\t-0.31\t8\n") != NULL);
    /* Layer 3 of step 5000: column 3; its gap 1.5 + 2 * 3. Layer 2's angle is element 4: 16.5. */
    CHECK(strstr(text_of("whole", "gap", "tsv", NULL), "3\t3\t7.5\t\"7.5\"\t\"5000\"\n") != NULL);
    text = strstr(text_of("whole", "prediction", "tsv", NULL), "\"step 5000\"");
    CHECK(text != NULL && strstr(text, "2\t\"\"\t16.5\t60\t20\t1\t0\n") != NULL);
    /* Layer 2 raises: v and -v of the third vector, and its sigma, 12 / 3, times the root of d. */
    text = strstr(text_of("whole", "explosion", "tsv", NULL), "\"layer 2, phase 1\"");
    CHECK(text != NULL && strstr(text, "3\t\"\"\t180\t150\t9.79795897\n") != NULL);
    /* Middle of the plateau 2 to 3: state 2; at step 0 atan 3 from the last: 71.565 degrees. */
    CHECK(strstr(text_of("whole", "stabilisation", "tsv", NULL), "0\tNaN\tNaN\t71.5650512\t") !=
          NULL);
}

static void names_are_drawn_as_they_are(void)
{
    const char *text = text_of("whole", "emergence", "svg", NULL);
    CHECK(strstr(text, "a_b^{2} \xC3\xA9 ") != NULL);
    CHECK(strstr(text, "tuned @home `ls` $HOME") != NULL);
}

static void a_study_without_a_phase_says_so_and_leaves_nothing_old(void)
{
    CHECK(draw(N_STEPS, N_STEPS, true, "whole", svg) == SD_OK);
    static const char *const gone[] = {"prediction", "decay", "explosion"};
    for (int i = 0; i < 3; i++) {
        CHECK(strstr(text_of("whole", gone[i], "txt", NULL), "Not drawn: ") != NULL);
        CHECK(!is_there("whole", gone[i], "svg") && !is_there("whole", gone[i], "pdf"));
        CHECK(!is_there("whole", gone[i], "gp") && !is_there("whole", gone[i], "tsv"));
    }
    CHECK(is_picture("whole", "norms", "svg") && is_picture("whole", "emergence", "svg"));
    CHECK(is_picture("whole", "gap", "svg") && is_picture("whole", "stabilisation", "svg"));
    CHECK(!is_there("whole", "norms", "png")); /* another study's */
}

static void one_step_and_no_step_are_studies_too(void)
{
    CHECK(draw(1, 0, false, "one", all) == SD_OK);
    CHECK(is_picture("one", "norms", "pdf") && is_picture("one", "prediction", "png"));
    CHECK(is_picture("one", "decay", "svg") && !is_there("one", "stabilisation", "svg"));
    const char *panels = text_of("one", "norms", "tsv", NULL);
    CHECK(strstr(panels, "\n\n\n") == NULL); /* one checkpoint, one panel */
    CHECK(draw(1, 0, true, "one", svg) == SD_OK);
    CHECK(is_picture("one", "stabilisation", "svg")); /* the child has something to show */
    CHECK(draw(0, 0, false, "empty", all) == SD_OK);
    for (const sd_figure *const *figure = sd_figures; *figure != NULL; figure++)
        CHECK(strstr(text_of("empty", (*figure)->name, "txt", NULL), "Not drawn: ") != NULL);
}

static void an_unknown_format_is_refused(void)
{
    static const char *const gif[] = {"gif", NULL};
    sd_clear();
    CHECK(draw(1, 0, false, "gif", gif) == SD_ERR_USAGE);
    CHECK(strcmp(sd_message(), "'gif' is no format of a figure: pdf, svg or png") == 0);
    sd_clear();
}

/* Puts a program called gnuplot on an otherwise empty PATH; NULL: none at all. */
static void set_gnuplot(const char *script)
{
    char path[2 * PATH_LEN];
    snprintf(path, sizeof path, "%s/bin", folder);
    mkdir(path, 0777);
    setenv("PATH", path, 1);
    snprintf(path, sizeof path, "%s/bin/gnuplot", folder);
    unlink(path);
    if (script == NULL) return;
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(script, file) >= 0 && fclose(file) == 0);
    chmod(path, 0755);
}

static void gnuplot_missing_or_failing_is_told(void)
{
    char *path = NULL;
    CHECK(sd_copy_string(getenv("PATH"), &path) == SD_OK);
    set_gnuplot(NULL);
    sd_clear();
    CHECK(draw(1, 0, false, "fail", svg) == SD_ERR_RESOURCE);
    CHECK(strcmp(sd_message(), "gnuplot was not found: install it or set `figures: none`") == 0);
    sd_clear();
    CHECK(draw(1, 0, false, "fail", none) == SD_OK); /* scripts and data need no gnuplot */
    CHECK(is_there("fail", "norms", "gp") && !is_there("fail", "norms", "svg"));

    set_gnuplot("#!/bin/sh\nprintf '\\n Warning: beware\\n   it is broken\\nmore\\n' >&2\n"
                "exit 3\n");
    CHECK(draw(1, 0, false, "fail", svg) == SD_ERR_RESOURCE);
    CHECK(strstr(sd_message(), "gnuplot failed at ") != NULL);
    CHECK(strstr(sd_message(), ".gp: it is broken") != NULL);
    sd_clear();
    set_gnuplot("#!/bin/sh\nkill -9 $$\n");
    CHECK(draw(1, 0, false, "fail", svg) == SD_ERR_RESOURCE);
    CHECK(strstr(sd_message(), "gnuplot was killed by signal 9") != NULL);
    sd_clear();
    set_gnuplot("#!/bin/sh\nexit 0\n");
    CHECK(draw(1, 0, false, "fail", svg) == SD_ERR_RESOURCE);
    CHECK(strstr(sd_message(), "gnuplot wrote nothing") != NULL);
    sd_clear();
    CHECK(!is_there("fail", "decay", "svg") && count_hidden("fail") == 0);
    setenv("PATH", path, 1);
    sd_free(path);
}

static void a_failing_allocation_is_reported_not_fatal(void)
{
    sd_results *results = NULL;
    char        path[2 * PATH_LEN];
    int64_t     k  = 0;
    sd_status   st = SD_ERR_RESOURCE;
    snprintf(path, sizeof path, "%s/memory", folder);
    CHECK(make_study(N_STEPS, 1, true, &results) == SD_OK);
    while (results != NULL && st == SD_ERR_RESOURCE && ++k < 10000) {
        sd_clear();
        sd_alloc_fail_at(k);
        st = sd_figures_draw(results, path, none);
        sd_alloc_fail_at(0);
        CHECK(st == SD_OK || st == SD_ERR_RESOURCE);
    }
    CHECK(st == SD_OK && k > 50);
    CHECK(count_hidden("memory") == 0);
    sd_results_close(&results);
}

int main(void)
{
    char command[2 * PATH_LEN];
    if (system("gnuplot --version > /dev/null 2>&1") != 0) {
        fputs("skipped: gnuplot is not installed\n", stderr);
        return 77;
    }
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/sd_figures_XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(folder) == NULL) return 1;
    every_figure_leaves_pictures_script_data_and_caption();
    the_same_study_gives_the_same_bytes();
    a_script_draws_its_figure_again_without_a_warning();
    the_data_are_the_study_s_numbers();
    names_are_drawn_as_they_are();
    a_study_without_a_phase_says_so_and_leaves_nothing_old();
    one_step_and_no_step_are_studies_too();
    an_unknown_format_is_refused();
    gnuplot_missing_or_failing_is_told();
    a_failing_allocation_is_reported_not_fatal();
    if (sd_message()[0] != '\0') fprintf(stderr, "last message: %s\n", sd_message());
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? REPORT() : 1;
}
