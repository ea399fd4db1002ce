/* The study file: defaults, every key, paths, and every refusal with its line. Globs and steps are
 * in test_study_paths.c. */
#include "pipeline/study.h"

#include <string.h>

#include "solvers/base/memory.h"
#include "tests/support/check.h"

#define SMALLEST "text: t\nruns: [{name: a, checkpoints: c}]\n"

static sd_study *study;

static sd_status parse_at(const char *path, const char *text)
{
    sd_clear();
    sd_study_destroy(&study);
    return sd_study_parse(text, (int64_t)strlen(text), path, &study);
}

static bool parses(const char *text)
{
    const sd_status st = parse_at("folder/study.yaml", text);

    if (st != SD_OK) fprintf(stderr, "%s\n", sd_message());
    return st == SD_OK;
}

static bool same(const char *got, const char *want)
{
    return got != NULL && strcmp(got, want) == 0;
}

/* ---- what is taken ---- */

static void the_smallest_study_has_the_defaults(void)
{
    CHECK(parses(SMALLEST));
    if (study == NULL) return;
    CHECK(same(study->title, "study") && same(study->yaml, SMALLEST));
    CHECK(same(study->text, "folder/t") && !study->text_is_ids && study->tokenizer == NULL);
    CHECK(study->measure.sequences == 128 && study->measure.length == 128);
    CHECK(!study->measure.bos && !study->measure.written);
    CHECK(study->linear.estimator == SD_ESTIMATOR_STEIN && !study->linear.scaled_input);
    CHECK(!study->linear.biases && !study->linear.centring);
    CHECK(study->linear.samples == 100000 && study->linear.seed == 1);
    CHECK(study->spectrum.matrices == (SD_MAP_LAYER | SD_MAP_ATTENTION | SD_MAP_FFN));
    CHECK(!study->spectrum.all_values && study->spectrum.count == 8);
    CHECK(study->spectrum.solver == SD_SOLVER_AUTO && study->eigenpairs == SD_EIGEN_AUTO);
    CHECK(!study->subspace && study->team_size == 0);
    CHECK(same(study->figures[0], "pdf") && same(study->figures[1], "svg") &&
          same(study->figures[2], "png") && study->figures[3] == NULL);
    CHECK(study->n_runs == 1 && same(study->run[0].name, "a") && study->run[0].line == 2);
    CHECK(study->run[0].parent == NULL && study->run[0].parent_step == -1);
    CHECK(study->run[0].tokenizer == NULL && study->run[0].n_patterns == 1);
    CHECK(same(study->run[0].pattern[0].path, "c") && study->run[0].pattern[0].step == -1);
    CHECK(same(study->run[0].pattern[0].file, "folder/c"));
    CHECK(study->run[0].n_checkpoints == 0);
}

static void every_key_is_read(void)
{
    CHECK(parses("title: A title\ntext: {ids: i.txt}\ntokenizer: tok.json\n"
                 "measure: {sequences: 3, length: 16777216, bos: true}\n"
                 "linear: {estimator: sampled, input: scaled, biases: true, centring: false,"
                 " samples: 77, seed: 9223372036854775807}\n"
                 "spectrum: {matrices: [ffn, layer], values: all, count: 1, solver: scalapack}\n"
                 "eigenpairs: full\nsubspace: true\ntokens: {initial: none, noninitial: none}\n"
                 "quantization: none\nteams: {size: 4}\nfigures: [png, png, svg]\n"
                 "runs:\n"
                 "- {name: a, checkpoints: [x, {step: 5, path: y}], tokenizer: /other, base: m}\n"
                 "- {name: b, checkpoints: {step: 0, path: z}, parent: a, parent_step: 0}\n"));
    if (study == NULL) return;
    CHECK(same(study->title, "A title") && same(study->text, "folder/i.txt"));
    CHECK(study->text_is_ids && same(study->tokenizer, "folder/tok.json"));
    CHECK(study->measure.written && study->measure.sequences == 3 && study->measure.bos);
    CHECK(study->measure.length == 1 << 24);
    CHECK(study->linear.estimator == SD_ESTIMATOR_SAMPLED && study->linear.scaled_input);
    CHECK(study->linear.biases && study->linear.samples == 77);
    CHECK(study->linear.seed == INT64_MAX);
    CHECK(study->spectrum.matrices == (SD_MAP_LAYER | SD_MAP_FFN) && study->spectrum.all_values);
    CHECK(study->spectrum.count == 1 && study->spectrum.solver == SD_SOLVER_SCALAPACK);
    CHECK(study->eigenpairs == SD_EIGEN_ONLY_FULL && study->team_size == 4);
    CHECK(study->subspace);
    CHECK(same(study->figures[0], "png") && same(study->figures[1], "svg") &&
          study->figures[2] == NULL);
    CHECK(study->n_runs == 2 && study->run[0].n_patterns == 2 && study->run[0].line == 14);
    CHECK(same(study->run[0].tokenizer, "/other") && study->run[0].pattern[0].step == -1);
    CHECK(same(study->run[0].base, "folder/m") && study->run[1].base == NULL);
    CHECK(study->run[0].pattern[1].step == 5 && same(study->run[0].pattern[1].file, "folder/y"));
    CHECK(same(study->run[1].parent, "a") && study->run[1].parent_step == 0);
    CHECK(study->run[1].n_patterns == 1 && study->run[1].pattern[0].step == 0);
    CHECK(sd_study_find(study, "b") == 1 && sd_study_find(study, "c") == -1);
}

static void every_choice_is_known(void)
{
    CHECK(parses(SMALLEST "linear: {estimator: stein, input: paper}") && study != NULL &&
          study->linear.estimator == SD_ESTIMATOR_STEIN && !study->linear.scaled_input);
    CHECK(parses(SMALLEST "spectrum: {solver: lapack, values: leading}") && study != NULL &&
          study->spectrum.solver == SD_SOLVER_LAPACK && !study->spectrum.all_values);
    CHECK(parses(SMALLEST "spectrum: {solver: slepc}") && study != NULL &&
          study->spectrum.solver == SD_SOLVER_SLEPC);
    CHECK(parses(SMALLEST "spectrum: {matrices: [attention]}") && study != NULL &&
          study->spectrum.matrices == SD_MAP_ATTENTION);
    CHECK(parses(SMALLEST "eigenpairs: iterative") && study != NULL &&
          study->eigenpairs == SD_EIGEN_ONLY_ITERATIVE);
    CHECK(parses(SMALLEST "teams: {size: auto}") && study != NULL && study->team_size == 0);
    CHECK(parses(SMALLEST "figures: none") && study != NULL && study->figures[0] == NULL);
    CHECK(parses(SMALLEST "figures: []") && study != NULL && study->figures[0] == NULL);
    CHECK(parses(SMALLEST "measure: {}") && study != NULL && study->measure.written);
}

static void paths_are_relative_to_the_study(void)
{
    CHECK(parse_at("study.yaml", SMALLEST) == SD_OK && study != NULL && same(study->text, "t"));
    CHECK(parse_at("/study.yaml", SMALLEST) == SD_OK && study != NULL && same(study->text, "//t"));
    CHECK(parse_at("/a/b/s.yaml", SMALLEST) == SD_OK && study != NULL &&
          same(study->text, "/a/b/t"));
    CHECK(parse_at("a/s.yaml", "text: /t\nruns: [{name: a, checkpoints: /c}]") == SD_OK &&
          study != NULL && same(study->text, "/t") && same(study->run[0].pattern[0].file, "/c"));

    char *path = NULL;
    CHECK(sd_study_resolve(study, "../x", &path) == SD_OK && same(path, "a/../x"));
    sd_free(path);
    CHECK(sd_study_resolve(study, "/x", &path) == SD_OK && same(path, "/x"));
    sd_free(path);
}

static void the_title_is_the_files_name_without_its_ending(void)
{
    CHECK(parse_at("a.b/my.study.yaml", SMALLEST) == SD_OK && same(study->title, "my.study"));
    CHECK(parse_at("a.b/study", SMALLEST) == SD_OK && same(study->title, "study"));
    CHECK(parse_at(".yaml", SMALLEST) == SD_OK && same(study->title, ".yaml"));
}

/* ---- what decides a unit's numbers ---- */

static char settings_text[1024];

static const char *settings_of(const char *more)
{
    char  text[1024];
    char *settings = NULL;

    snprintf(text, sizeof text, SMALLEST "%s", more);
    CHECK(parses(text));
    CHECK(study != NULL && sd_study_settings(study, &settings) == SD_OK);
    snprintf(settings_text, sizeof settings_text, "%s", settings != NULL ? settings : "");
    sd_free(settings);
    return settings_text;
}

static void the_settings_tell_what_changes_numbers_and_nothing_else(void)
{
    static const char *const matter[] = {"linear: {estimator: sampled}",
                                         "linear: {input: scaled}",
                                         "linear: {biases: true}",
                                         "linear: {samples: 5}",
                                         "subspace: true",
                                         "linear: {seed: 2}",
                                         "spectrum: {matrices: [ffn]}",
                                         "spectrum: {values: all}",
                                         "spectrum: {count: 7}",
                                         "spectrum: {solver: lapack}",
                                         "eigenpairs: full",
                                         "eigenpairs: iterative",
                                         NULL};
    static const char *const do_not[] = {"title: x", "teams: {size: 2}", "figures: none",
                                         "measure: {sequences: 1}", /* the ids tell */ NULL};
    char                     usual[1024];

    snprintf(usual, sizeof usual, "%s", settings_of(""));
    for (int i = 0; matter[i] != NULL; i++) CHECK(strcmp(settings_of(matter[i]), usual) != 0);
    for (int i = 0; do_not[i] != NULL; i++) CHECK(strcmp(settings_of(do_not[i]), usual) == 0);
}

/* ---- what is refused ---- */

/* `want`: line and text behind the file's name. */
static void refused(const char *text, const char *want)
{
    char line[1024];

    snprintf(line, sizeof line, "folder/study.yaml:%s", want);
    CHECK(parse_at("folder/study.yaml", text) == SD_ERR_USAGE && study == NULL);
    CHECK(strcmp(sd_message(), line) == 0);
    if (strcmp(sd_message(), line) != 0)
        fprintf(stderr, "said: %s\nwant: %s\n", sd_message(), line);
}

static void key_refused(const char *key, const char *want)
{
    char text[1024], line[1024];

    snprintf(text, sizeof text, SMALLEST "%s", key);
    snprintf(line, sizeof line, "3: %s", want);
    refused(text, line);
}

static void run_refused(const char *run, const char *want)
{
    char text[1024], line[1024];

    snprintf(text, sizeof text, "text: t\nruns: [%s]", run);
    snprintf(line, sizeof line, "2: %s", want);
    refused(text, line);
}

static void unknown_keys_are_named_with_the_nearest(void)
{
    key_refused("fgures: none", "'fgures' is no key of a study; did you mean 'figures'?");
    key_refused("measure: {lenght: 1}", "'lenght' is no key of 'measure'; did you mean 'length'?");
    key_refused("measure: {tokens: 1}",
                "'tokens' is no key of 'measure'; known: sequences length bos");
    key_refused("linear: {sample: 1}", "'sample' is no key of 'linear'; did you mean 'samples'?");
    key_refused("spectrum: {counts: 1}", "'counts' is no key of 'spectrum'; did you mean 'count'?");
    key_refused("teams: {sise: 1}", "'sise' is no key of 'teams'; did you mean 'size'?");
    key_refused("tokens: {inital: none}",
                "'inital' is no key of 'tokens'; did you mean 'initial'?");
    refused("text: {id: x}\n", "1: 'id' is no key of 'text'; did you mean 'ids'?");
    run_refused("{nme: a}", "'nme' is no key of 'runs'; did you mean 'name'?");
    run_refused("{name: a, checkpoints: [{stp: 1}]}",
                "'stp' is no key of 'checkpoints'; did you mean 'step'?");
}

static void numbers_are_whole_and_in_range(void)
{
    key_refused("measure: {length: 0}", "'length' is '0', want a whole number in [1, 16777216]");
    key_refused("measure: {length: 16777217}",
                "'length' is '16777217', want a whole number in [1, 16777216]");
    key_refused("measure: {length: 1e3}",
                "'length' is '1e3', want a whole number in [1, 16777216]");
    key_refused("measure: {length: '3'}", "'length' is '3', want a whole number in [1, 16777216]");
    key_refused("measure: {length: }", "'length' is '', want a whole number in [1, 16777216]");
    key_refused("measure: {length: {}}",
                "'length' is 'a map', want a whole number in [1, 16777216]");
    key_refused("spectrum: {count: 1048577}",
                "'count' is '1048577', want a whole number in [1, 1048576]");
    key_refused("linear: {samples: 1073741825}",
                "'samples' is '1073741825', want a whole number in [1, 1073741824]");
    key_refused("linear: {seed: -1}",
                "'seed' is '-1', want a whole number in [0, 9223372036854775807]");
    key_refused("linear: {seed: 9223372036854775808}",
                "'seed' is '9223372036854775808', want a whole number in [0, 9223372036854775807]");
    key_refused("teams: {size: 0}", "'size' is '0', want a whole number in [1, 1048576]");
    run_refused("{name: a, checkpoints: [{step: -1, path: x}]}",
                "'step' is '-1', want a whole number in [0, 9223372036854775807]");
}

static void words_are_of_their_list(void)
{
    key_refused("measure: {bos: yes}", "'bos' is 'yes', want true or false");
    key_refused("linear: {biases: [true]}", "'biases' is 'a list', want true or false");
    key_refused("linear: {estimator: stien}", "'estimator' is 'stien'; did you mean 'stein'?");
    key_refused("linear: {input: x}", "'input' is 'x'; known: paper scaled");
    key_refused("spectrum: {values: al}", "'values' is 'al'; did you mean 'all'?");
    key_refused("spectrum: {solver: [auto]}",
                "'solver' is 'a list'; known: auto lapack scalapack slepc");
    key_refused("spectrum: {matrices: ffn}", "'matrices' is 'ffn', want a list");
    key_refused("spectrum: {matrices: [fnn]}",
                "'fnn' is nothing for 'matrices'; did you mean 'ffn'?");
    key_refused("eigenpairs: never", "'eigenpairs' is 'never'; known: auto iterative full");
    key_refused("figures: pdf", "'figures' is 'pdf', want a list");
    key_refused("figures: [pdf, gif]", "'gif' is nothing for 'figures'; known: pdf svg png");
    key_refused("figures: [[pdf]]", "'a list' is nothing for 'figures'; known: pdf svg png");
}

static void what_comes_later_is_named(void)
{
    key_refused("linear: {estimator: tokens}",
                "'estimator: tokens' is not supported by this version");
    key_refused("linear: {centring: true}", "'centring: true' is not supported by this version");
    key_refused("tokens: {initial: all}", "'initial: all' is not supported by this version");
    key_refused("tokens: {noninitial: all}", "'noninitial: all' is not supported by this version");
    key_refused("quantization: {}", "'quantization' is not supported by this version");
}

static void maps_lists_and_texts_are_not_mixed_up(void)
{
    key_refused("title: [a]", "'title' is a list, want text");
    key_refused("title: ''", "'title' is empty, want text");
    key_refused("tokenizer: ", "'tokenizer' is empty, want text");
    key_refused("measure: ", "measure is empty, want a map of keys");
    key_refused("linear: [seed]", "linear is a list, want a map of keys");
    key_refused("spectrum: all", "spectrum is all, want a map of keys");
    refused("- text", "1: the study is a list, want a map of keys");
    refused("text: [t]", "1: 'text' is a list, want text");
    refused("text: {ids: []}", "1: 'ids' is a list, want text");
}

static void what_a_study_needs(void)
{
    refused("runs: [{name: a, checkpoints: c}]", "1: the study has no 'text'");
    refused("text: {}\nruns: [{name: a, checkpoints: c}]", "1: the study has no 'text'");
    refused("text: t", "1: the study has no 'runs'");
    refused("text: t\nruns: []", "2: 'runs' is empty, want a list of {name, checkpoints}");
    refused("text: t\nruns: ", "2: 'runs' is empty, want a list of {name, checkpoints}");
    refused("text: t\nruns: {name: a}", "2: 'runs' is a map, want a list of {name, checkpoints}");
    refused("measure: {length: 1, bos: true}\n" SMALLEST,
            "1: 'measure.length' is 1, all of it the BOS token; want 2 or more");
    run_refused("a", "runs is a, want a map of keys");
    run_refused("{checkpoints: c}", "a run has no 'name'");
    run_refused("{name: a}", "run 'a' has no 'checkpoints'");
    run_refused("{name: a, checkpoints: []}", "'checkpoints' is an empty list");
    run_refused("{name: a, checkpoints: }", "'checkpoints' is empty, want text");
    run_refused("{name: a, checkpoints: [[x]]}", "'entry' is a list, want text");
    run_refused("{name: a, checkpoints: [{step: 1}]}", "a checkpoint has no 'path'");
}

static void names_make_folders(void)
{
    char longest[160], text[320];

    run_refused("{name: a/b, checkpoints: c}",
                "the name 'a/b' has a character that a folder cannot have");
    run_refused("{name: \"a\\tb\", checkpoints: c}",
                "the name 'a?b' has a character that a folder cannot have");
    run_refused("{name: .a, checkpoints: c}",
                "the name '.a' starts with a dot or is longer than 100 bytes; choose another");
    memset(longest, 'n', sizeof longest);
    longest[100] = '\0';
    snprintf(text, sizeof text, "text: t\nruns: [{name: %s, checkpoints: c}]", longest);
    CHECK(parses(text));
    longest[100] = 'n';
    longest[101] = '\0';
    snprintf(text, sizeof text, "text: t\nruns: [{name: %s, checkpoints: c}]", longest);
    CHECK(parse_at("s", text) == SD_ERR_USAGE && strstr(sd_message(), "longer than 100 bytes"));
}

static void runs_and_parents_belong_together(void)
{
    run_refused("{name: a, checkpoints: c}, {name: a, checkpoints: d}", "there are two runs 'a'");
    run_refused("{name: a, checkpoints: c, parent: b}", "parent 'b' of run 'a' is no other run");
    run_refused("{name: a, checkpoints: c, parent: a}", "parent 'a' of run 'a' is no other run");
    run_refused("{name: a, checkpoints: c, parent_step: 0}",
                "run 'a' has a 'parent_step' and no 'parent'");
    CHECK(
        parses("text: t\nruns: [{name: b, checkpoints: c, parent: a}, {name: a, checkpoints: c}]"));
}

/* ---- shortages ---- */

static void a_shortage_leaves_nothing_behind(void)
{
    static const char text[] =
        "title: x\ntext: {ids: i}\ntokenizer: k\nmeasure: {length: 5}\nfigures: [pdf]\nruns:\n"
        "- {name: a, checkpoints: [x, {step: 5, path: y}], tokenizer: z, base: m}\n"
        "- {name: b, checkpoints: z, parent: a, parent_step: 5}\n";
    sd_status st = SD_ERR_RESOURCE;
    int64_t   k  = 0;

    while (st == SD_ERR_RESOURCE) {
        sd_alloc_fail_at(++k);
        st = parse_at("/s.yaml", text);
        CHECK(st == SD_OK || (st == SD_ERR_RESOURCE && study == NULL));
    }
    sd_alloc_fail_at(0);
    CHECK(st == SD_OK && k > 20);
}

int main(void)
{
    the_smallest_study_has_the_defaults();
    every_key_is_read();
    every_choice_is_known();
    paths_are_relative_to_the_study();
    the_title_is_the_files_name_without_its_ending();
    the_settings_tell_what_changes_numbers_and_nothing_else();
    unknown_keys_are_named_with_the_nearest();
    numbers_are_whole_and_in_range();
    words_are_of_their_list();
    what_comes_later_is_named();
    maps_lists_and_texts_are_not_mixed_up();
    what_a_study_needs();
    names_make_folders();
    runs_and_parents_belong_together();
    a_shortage_leaves_nothing_behind();
    sd_study_destroy(&study);
    return REPORT();
}
