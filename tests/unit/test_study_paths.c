/* The checkpoints of a study: steps in names, globs in awkward folders, order, what is refused. */
#include <string.h>

#include "pipeline/study.h"
#include "solvers/base/memory.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

/* ---- steps in names ---- */

static void steps_are_read_from_names(void)
{
    CHECK(sd_step_of_name("step_1000") == 1000);
    CHECK(sd_step_of_name("step1000") == 1000);
    CHECK(sd_step_of_name("step-0") == 0);
    CHECK(sd_step_of_name("stage1-step-40000") == 40000);
    CHECK(sd_step_of_name("checkpoint-500") == 500);
    CHECK(sd_step_of_name("global_step1000") == 1000);
    CHECK(sd_step_of_name("Step_0007") == 7);
    CHECK(sd_step_of_name("stage2-ingredient1-step5000-tokens11B") == 5000);
    CHECK(sd_step_of_name("checkpoint-3-step_4") == 4); /* the last one counts */
    CHECK(sd_step_of_name("step_12.safetensors") == 12);
    CHECK(sd_step_of_name("stage1-step40000-tokens84B") == 40000);
    CHECK(sd_step_of_name("step1000-tokens4B") == 1000);
    CHECK(sd_step_of_name("iter_0005000") == 5000);
    CHECK(sd_step_of_name("iteration-70") == 70);
    CHECK(sd_step_of_name("ckpt_012") == 12);
    CHECK(sd_step_of_name("checkpoint_0953675") == 953675);
    CHECK(sd_step_of_name("step_335000_ckpt") == 335000);
    CHECK(sd_step_of_name("TinyLlama-1.1B-intermediate-step-240k-503b") == 240000);
    CHECK(sd_step_of_name("step-50K-105b") == 50000);
    CHECK(sd_step_of_name("seed_0-step_1000k") == 1000000);
    CHECK(sd_step_of_name("step_5kb") == 5); /* no thousand */
    CHECK(sd_step_of_name("step900000000000000000k") == -1);
    CHECK(sd_step_of_name("epoch=3-step=1000") == 1000);
    CHECK(sd_step_of_name("step=1000-epoch=3") == 1000);
    CHECK(sd_step_of_name("epoch_3") == 3);
    CHECK(sd_step_of_name("my-epoch-3") == 3);
    CHECK(sd_step_of_name("globalstep7") == 7);
    CHECK(sd_step_of_name("step9223372036854775807") == -1); /* no room for arithmetic */
    CHECK(sd_step_of_name("step900000000000000000") == 900000000000000000);
}

static void other_numbers_are_no_steps(void)
{
    CHECK(sd_step_of_name("model-7b") == -1);
    CHECK(sd_step_of_name("1000") == -1);
    CHECK(sd_step_of_name("step") == -1);
    CHECK(sd_step_of_name("step_") == -1);
    CHECK(sd_step_of_name("step--5") == -1);
    CHECK(sd_step_of_name("step_x5") == -1);
    CHECK(sd_step_of_name("steps_5") == -1);
    CHECK(sd_step_of_name("writer5") == -1);
    CHECK(sd_step_of_name("epochs5") == -1);
    CHECK(sd_step_of_name("iter_") == -1);
    CHECK(sd_step_of_name("") == -1);
    CHECK(sd_step_of_name("/") == -1);
}

static void the_folder_speaks_for_its_file(void)
{
    CHECK(sd_step_of_name("run/step_10/model.safetensors") == 10);
    CHECK(sd_step_of_name("step_10//") == 10);
    CHECK(sd_step_of_name("step_5/checkpoint-7") == 7);
    CHECK(sd_step_of_name("step_5/a/b") == -1); /* too far up to be this checkpoint's */
    CHECK(sd_step_of_name("step_/5") == -1);    /* digits of another component         */
    CHECK(sd_step_of_name("step/5") == -1);
}

/* ---- listing ---- */

static sd_study *study;

/* Parses and lists a study of these runs, at a place in the scratch folder. */
static sd_status list_at(const char *place, const char *runs)
{
    sd_status st = SD_OK;
    char      text[2048], *list = NULL;
    int64_t   bytes = 0;

    sd_clear();
    sd_study_destroy(&study);
    snprintf(text, sizeof text, "text: t\nruns:\n%s", runs);
    SD_TRY(sd_study_parse(text, (int64_t)strlen(text), place, &study));
    SD_TRY(sd_study_list(study, &list, &bytes));
    SD_TRY(sd_study_fill(study, list, bytes));

done:
    sd_free(list);
    return st;
}

static sd_status list(const char *runs)
{
    return list_at(scratch_path("study.yaml"), runs);
}

static void checkpoint_is(int64_t run, int64_t i, int64_t step, const char *path)
{
    const bool there = run < study->n_runs && i < study->run[run].n_checkpoints;
    char       file[1024];

    CHECK(there);
    if (!there) return;
    snprintf(file, sizeof file, "%s/%s", study->folder, path);
    CHECK(study->run[run].checkpoint[i].step == step);
    CHECK(strcmp(study->run[run].checkpoint[i].path, path) == 0);
    CHECK(strcmp(study->run[run].checkpoint[i].file, path[0] == '/' ? path : file) == 0);
}

static void checkpoints_are_ordered_by_step(void)
{
    CHECK(list("- {name: a, checkpoints: 'r/step_*'}") == SD_OK);
    CHECK(study->run[0].n_checkpoints == 3);
    checkpoint_is(0, 0, 2, "r/step_2"); /* not as names sort: 10, 2, 30 */
    checkpoint_is(0, 1, 10, "r/step_10");
    checkpoint_is(0, 2, 30, "r/step_30");
}

static void globs_paths_and_steps_mix(void)
{
    CHECK(list("- name: a\n  checkpoints: ['r/step_[23]*', {step: 5, path: odd}, none_step7]\n"
               "- {name: b, checkpoints: odd, parent: a, parent_step: 30}") == SD_OK);
    CHECK(study->run[0].n_checkpoints == 4 && study->run[1].n_checkpoints == 1);
    checkpoint_is(0, 0, 2, "r/step_2");
    checkpoint_is(0, 1, 5, "odd");
    checkpoint_is(0, 2, 7, "none_step7"); /* what is not there fails when it is opened, alone */
    checkpoint_is(0, 3, 30, "r/step_30");
    checkpoint_is(1, 0, 0, "odd"); /* the only one, without a step */
}

static void a_written_step_takes_its_path_as_it_stands(void)
{
    CHECK(list("- {name: a, checkpoints: [{step: 3, path: 'r/step_*'}]}") == SD_OK);
    CHECK(study->run[0].n_checkpoints == 1);
    checkpoint_is(0, 0, 3, "r/step_*");
}

static void absolute_patterns_stay_absolute(void)
{
    char runs[1200];

    snprintf(runs, sizeof runs, "- {name: a, checkpoints: '%s'}", scratch_path("r/step_1*"));
    CHECK(list(runs) == SD_OK);
    checkpoint_is(0, 0, 10, scratch_path("r/step_10"));
}

/* The folder's own name is no pattern: [x] would match x, * everything. */
static void the_studys_folder_is_taken_literally(void)
{
    CHECK(list_at(scratch_path("[x]*?\\/study.yaml"), "- {name: a, checkpoints: 'step*'}") ==
          SD_OK);
    CHECK(study->run[0].n_checkpoints == 1);
    checkpoint_is(0, 0, 4, "step4");
}

/* ---- models in the hub's cache ---- */

#define COMMIT(digit) "0123456789abcdef0123456789abcdef0123456" #digit

static void make_revision(const char *model, const char *name, const char *commit)
{
    char path[256];

    snprintf(path, sizeof path, "%s/refs/%s", model, name);
    scratch_text(path, commit);
    snprintf(path, sizeof path, "%s/snapshots/%s", model, commit);
    mkdir(scratch_path(path), 0777); /* of another revision too */
}

static void make_model(const char *model)
{
    char path[256];

    scratch_folder(model);
    snprintf(path, sizeof path, "%s/refs", model);
    scratch_folder(path);
    snprintf(path, sizeof path, "%s/snapshots", model);
    scratch_folder(path);
}

static void make_models(void)
{
    make_model("models--o--run");
    make_revision("models--o--run", "main", COMMIT(2));
    make_revision("models--o--run", "step1000", COMMIT(1));
    make_revision("models--o--run", "stage1-step20-tokens1B", COMMIT(0));
    make_revision("models--o--run", "step3000", COMMIT(2));
    make_revision("models--o--run", "step2000", COMMIT(1));
    make_model("models--o--step-50K-105b");
    make_revision("models--o--step-50K-105b", "main", COMMIT(5));
    make_model("models--o--plain");
    make_revision("models--o--plain", "main", COMMIT(6));
}

static void a_model_is_the_series_of_its_revisions(void)
{
    static const char *const ways[] = {"models--o--run", "models--o--run/", "models--o--ru*"};

    for (int i = 0; i < 3; i++) {
        char runs[256];

        snprintf(runs, sizeof runs, "- {name: a, checkpoints: '%s'}", ways[i]);
        CHECK(list(runs) == SD_OK && study->run[0].n_checkpoints == 4);
        if (study->run[0].n_checkpoints != 4) continue;
        checkpoint_is(0, 0, 20, "models--o--run/refs/stage1-step20-tokens1B");
        checkpoint_is(0, 1, 1000, "models--o--run/refs/step1000");
        checkpoint_is(0, 2, 2000, "models--o--run/refs/step2000");
        checkpoint_is(0, 3, 3000, "models--o--run/refs/step3000");
    }
}

static void revisions_are_paths_like_others(void)
{
    CHECK(list("- {name: a, checkpoints: ['models--o--run/refs/step*', "
               "{step: 5, path: models--o--run}]}") == SD_OK);
    CHECK(study->run[0].n_checkpoints == 4);
    checkpoint_is(0, 0, 5, "models--o--run"); /* with a step of its own it stands for itself */
    checkpoint_is(0, 1, 1000, "models--o--run/refs/step1000");
    checkpoint_is(0, 3, 3000, "models--o--run/refs/step3000");
    CHECK(list("- {name: a, checkpoints: models--o--plain}") == SD_OK);
    checkpoint_is(0, 0, 0, "models--o--plain");
}

/* A damaged revision names no snapshot, and does not hinder the others. */
static void snapshots_have_the_steps_of_their_revisions(void)
{
    scratch_text("models--o--run/refs/step77", "damaged");
    CHECK(list("- {name: a, checkpoints: 'models--o--run/snapshots/*'}") == SD_OK);
    CHECK(study->run[0].n_checkpoints == 4);
    checkpoint_is(0, 0, 20, "models--o--run/snapshots/" COMMIT(0));
    checkpoint_is(0, 1, 1000, "models--o--run/snapshots/" COMMIT(1));
    checkpoint_is(0, 2, 2000, "models--o--run/snapshots/" COMMIT(1));
    checkpoint_is(0, 3, 3000, "models--o--run/snapshots/" COMMIT(2));
    scratch_remove("models--o--run/refs/step77");
}

static void a_model_of_one_checkpoint_has_its_name_s_step(void)
{
    CHECK(list("- {name: a, checkpoints: ['models--o--step-50K-105b', odd_step1]}") == SD_OK);
    checkpoint_is(0, 1, 50000, "models--o--step-50K-105b");
    CHECK(list("- {name: a, checkpoints: ['models--o--step-*/snapshots/*', odd_step1]}") == SD_OK);
    checkpoint_is(0, 1, 50000, "models--o--step-50K-105b/snapshots/" COMMIT(5));
}

static void refused(const char *runs, const char *text)
{
    char want[2048];

    snprintf(want, sizeof want, "%s:%s", scratch_path("study.yaml"), text);
    CHECK(list(runs) == SD_ERR_USAGE);
    CHECK(strcmp(sd_message(), want) == 0);
    if (strcmp(sd_message(), want) != 0) fprintf(stderr, "said: %s\n", sd_message());
}

static void what_gives_no_order_is_refused(void)
{
    refused("- {name: a, checkpoints: odd}\n- {name: b, checkpoints: 'r/x*'}",
            "4: no file or folder matches 'r/x*' of run 'b'");
    refused("- {name: a, checkpoints: [odd, r/step_2]}",
            "3: the name of 'odd' holds no step; write {step: N, path: odd}");
    refused("- {name: a, checkpoints: ['r/step_*', {step: 10, path: odd}]}",
            "3: run 'a' has step 10 twice: 'odd' and 'r/step_10'");
    refused("- {name: a, checkpoints: ['r/step_2', 'r/step_*']}",
            "3: run 'a' has step 2 twice: 'r/step_2' and 'r/step_2'");
    refused("- {name: a, checkpoints: ['models--o--plain/snapshots/*', odd_step1]}",
            "3: the name of 'models--o--plain/snapshots/" COMMIT(
                6) "' holds no step; write {step: "
                   "N, path: models--o--plain/snapshots/" COMMIT(6) "}");
    refused("- {name: a, checkpoints: 'r/step_*'}\n"
            "- {name: b, checkpoints: odd, parent: a, parent_step: 3}",
            "4: 'parent_step' 3 is no step of run 'a'");
}

static void a_parent_without_a_step_is_fine(void)
{
    CHECK(list("- {name: b, checkpoints: odd, parent: a}\n- {name: a, checkpoints: 'r/step_*'}") ==
          SD_OK);
}

/* Every allocation in turn: no crash and no leak. Globs allocate by themselves. */
static void a_shortage_leaves_nothing_behind(void)
{
    sd_status st = SD_ERR_RESOURCE;
    int64_t   k  = 0;

    while (st == SD_ERR_RESOURCE) {
        sd_alloc_fail_at(++k);
        st = list("- {name: a, checkpoints: ['r/step_*', odd_step1]}\n"
                  "- {name: m, checkpoints: models--o--run}\n"
                  "- {name: s, checkpoints: 'models--o--run/snapshots/*'}\n"
                  "- {name: b, checkpoints: [{step: 1, path: p}, {step: 2, path: q}], parent: a}");
        CHECK(st == SD_OK || st == SD_ERR_RESOURCE);
    }
    sd_alloc_fail_at(0);
    CHECK(st == SD_OK && k > 30);
}

int main(void)
{
    scratch_open();
    scratch_folder("r");
    scratch_folder("r/step_10");
    scratch_folder("r/step_2");
    scratch_text("r/step_30", "");
    scratch_folder("[x]*?\\");
    scratch_folder("[x]*?\\/step4");
    scratch_folder("x");
    scratch_folder("x/step5");
    make_models();

    steps_are_read_from_names();
    other_numbers_are_no_steps();
    the_folder_speaks_for_its_file();
    checkpoints_are_ordered_by_step();
    globs_paths_and_steps_mix();
    a_written_step_takes_its_path_as_it_stands();
    absolute_patterns_stay_absolute();
    the_studys_folder_is_taken_literally();
    a_model_is_the_series_of_its_revisions();
    revisions_are_paths_like_others();
    snapshots_have_the_steps_of_their_revisions();
    a_model_of_one_checkpoint_has_its_name_s_step();
    what_gives_no_order_is_refused();
    a_parent_without_a_step_is_fine();
    a_shortage_leaves_nothing_behind();
    sd_study_destroy(&study);
    scratch_close();
    return REPORT();
}
