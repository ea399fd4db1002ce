/* The hub's cache: which snapshot a path means, revisions by name, and downloads that are not
 * whole. */
#include <string.h>

#include "io/checkpoint.h"
#include "io/hub.h"
#include "tests/support/shortage.h"
#include "tests/support/tensors.h"

#define COMMIT_A "0123456789abcdef0123456789abcdef01234567"
#define COMMIT_B "89abcdef0123456789abcdef0123456789abcdef"

static const char *const model = "models--org--tiny";

static const char *in_model(const char *name)
{
    static char path[2][512];
    static int  next;

    next = (next + 1) % 2;
    snprintf(path[next], sizeof path[next], "%s/%s", model, name);
    return path[next];
}

/* A blob, and its link in a snapshot, as the hub's tools write them. */
static void link_blob(const char *commit, const char *name, const char *blob)
{
    char target[256], link[512];

    snprintf(target, sizeof target, "../../blobs/%s", blob);
    snprintf(link, sizeof link, "%s/snapshots/%s/%s", model, commit, name);
    scratch_need(symlink(target, scratch_path(link)) == 0, link);
}

static void make_model(void)
{
    tensors t = {0};

    scratch_folder(model);
    scratch_folder(in_model("blobs"));
    scratch_folder(in_model("refs"));
    scratch_folder(in_model("refs/pr"));
    scratch_folder(in_model("snapshots"));
    scratch_folder(in_model("snapshots/" COMMIT_A));
    scratch_folder(in_model("snapshots/" COMMIT_B));
    tensors_llama(&t, in_model("blobs/weights"), 1, false);
    tensors_config(in_model("blobs/config"), 1, "");
    link_blob(COMMIT_A, "model.safetensors", "weights");
    link_blob(COMMIT_A, "config.json", "config");
    link_blob(COMMIT_B, "model.safetensors", "gone");
    link_blob(COMMIT_B, "config.json", "config");
    scratch_text(in_model("refs/step1000"), COMMIT_A);
    scratch_text(in_model("refs/step2000"), COMMIT_B "\n");
    scratch_text(in_model("refs/pr/1"), COMMIT_A);
}

static void resolves_to(const char *path, const char *want)
{
    char *snapshot = NULL;

    sd_clear();
    CHECK(sd_hub_resolve(path, &snapshot) == SD_OK);
    if (want == NULL)
        CHECK(snapshot == NULL);
    else
        CHECK(snapshot != NULL && strstr(snapshot, want) != NULL);
    if (snapshot != NULL) CHECK(strstr(snapshot, "/snapshots/") != NULL);
    sd_free(snapshot);
}

static void refused(const char *path, const char *want)
{
    sd_checkpoint *c = NULL;

    sd_clear();
    CHECK(sd_checkpoint_open(path, &c) == SD_ERR_INPUT && c == NULL);
    CHECK(strcmp(sd_message(), want) == 0);
    if (strcmp(sd_message(), want) != 0) fprintf(stderr, "%s: says '%s'\n", path, sd_message());
}

static void opens(const char *path, const char *commit)
{
    sd_checkpoint *c = NULL;

    sd_clear();
    CHECK(sd_checkpoint_open(path, &c) == SD_OK);
    CHECK(c != NULL && sd_checkpoint_count(c) == 11);
    CHECK(c != NULL && strstr(sd_checkpoint_folder(c), commit) != NULL);
    if (c == NULL) fprintf(stderr, "%s: %s\n", path, sd_message());
    sd_checkpoint_close(&c);
}

static void a_revision_is_its_snapshot(void)
{
    resolves_to(scratch_path(in_model("refs/step1000")), COMMIT_A);
    resolves_to(scratch_path(in_model("refs/step2000")), COMMIT_B);
    resolves_to(scratch_path(in_model("refs/pr/1")), COMMIT_A);
    opens(scratch_path(in_model("refs/step1000")), COMMIT_A);
    opens(scratch_path(in_model("snapshots/" COMMIT_A)), COMMIT_A);
    opens(scratch_path(in_model("snapshots/" COMMIT_A "/model.safetensors")), COMMIT_A);
}

static void other_paths_mean_themselves(void)
{
    resolves_to(scratch_path(in_model("refs")), NULL);
    resolves_to(scratch_path(in_model("refs/pr")), NULL);
    resolves_to(scratch_path(in_model("refs/step3")), NULL); /* nothing is there */
    resolves_to(scratch_path(in_model("blobs/config")), NULL);
    resolves_to(scratch_path(in_model("snapshots/" COMMIT_A)), NULL);
    resolves_to(scratch, NULL);
    resolves_to("refs/step1000", NULL);
    resolves_to("", NULL);
}

static void paths_may_be_relative(void)
{
    char *here = getcwd(NULL, 0);

    scratch_need(chdir(scratch_path(model)) == 0, "chdir");
    resolves_to("refs/step1000", COMMIT_A);
    resolves_to("./refs//step1000", COMMIT_A);
    opens("refs/step1000", COMMIT_A);
    scratch_need(chdir("snapshots") == 0, "chdir");
    resolves_to("../refs/step2000", COMMIT_B);
    scratch_need(chdir(here) == 0, "chdir");
    free(here);
}

static void a_model_is_its_main_revision(void)
{
    refused(
        scratch_path(model),
        "the folder of the model holds 2 snapshots and no revision 'main'; name the one that is "
        "meant: refs/pr/1, refs/step1000, refs/step2000");
    scratch_text(in_model("refs/main"), COMMIT_A);
    opens(scratch_path(model), COMMIT_A);
    opens(scratch_path(in_model("")), COMMIT_A); /* with a slash behind */
    scratch_text(in_model("refs/main"), "fedcba9876543210fedcba9876543210fedcba98");
    refused(scratch_path(model),
            "refs/main: its snapshot fedcba987654 is not there; download the revision again");
    scratch_remove(in_model("refs/main"));
}

static void a_ref_holds_a_commit_and_nothing_else(void)
{
    static const char too_long[]                  = COMMIT_A COMMIT_B; /* 80 digits */
    static const char *const                bad[] = {
                       "", "main", "../../..", COMMIT_A "/..", COMMIT_A " " COMMIT_B, too_long};
    char longer[4096];

    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    for (size_t k = 0; k <= sizeof bad / sizeof *bad; k++) {
        scratch_text(in_model("refs/bad"), k < sizeof bad / sizeof *bad ? bad[k] : longer);
        refused(scratch_path(in_model("refs/bad")),
                "refs/bad: holds no commit; download the revision again");
    }
    scratch_remove(in_model("refs/bad"));
}

static void a_download_that_is_not_whole_says_so(void)
{
    refused(scratch_path(in_model("refs/step2000")),
            "model.safetensors: is a link to nothing: copy it with what it points to, or download "
            "it again");
    refused(scratch_path(in_model("snapshots/" COMMIT_B "/model.safetensors")),
            "a link to nothing: copy it with what it points to, or download it again");
    scratch_remove(in_model("snapshots/" COMMIT_B "/model.safetensors"));
    refused(scratch_path(in_model("refs/step2000")),
            "the folder has neither model.safetensors nor pytorch_model.bin, whole or with their "
            "index.json, nor a .gguf file; name the file itself if it has another name");
    scratch_text(in_model("blobs/gone.incomplete"), "");
    refused(scratch_path(in_model("refs/step2000")),
            "the folder has no weights, and their download is not finished; download it again");
    scratch_text(in_model("snapshots/" COMMIT_B "/model.safetensors.index.json"),
                 "{\"weight_map\": {\"a\": \"one.safetensors\"}}");
    refused(scratch_path(in_model("refs/step2000")),
            "one.safetensors: is missing, and its download is not finished; download it again");
}

static void revisions_are_listed_by_name(void)
{
    static const char *const want[] = {"pr/1", "step1000", "step2000"};
    sd_hub_revisions         list;

    CHECK(sd_hub_list(scratch_path(model), &list) == SD_OK && list.n == 3);
    for (int i = 0; i < 3 && list.n == 3; i++) CHECK(strcmp(list.item[i].name, want[i]) == 0);
    CHECK(list.n == 3 && strcmp(list.item[2].commit, COMMIT_B) == 0);
    sd_hub_release(&list);
    scratch_text(in_model("refs/bad"), "damaged");
    CHECK(sd_hub_list(scratch_path(model), &list) == SD_OK && list.n == 4);
    CHECK(list.n == 4 && list.item[0].commit[0] == '\0' && sd_message()[0] == '\0');
    scratch_remove(in_model("refs/bad"));
    sd_hub_release(&list);
    /* Links to folders are not followed: a few dozen that lead back are millions of paths. */
    scratch_need(symlink(".", scratch_path(in_model("refs/again"))) == 0, "again");
    CHECK(sd_hub_list(scratch_path(model), &list) == SD_OK && list.n == 3);
    scratch_remove(in_model("refs/again"));
    sd_hub_release(&list);
    CHECK(sd_hub_list(scratch, &list) == SD_OK && list.n == 0);
    sd_hub_release(&list);
}

/* A copy without links and refs: one snapshot needs no name. */
static void the_only_snapshot_needs_no_revision(void)
{
    tensors t = {0};

    scratch_folder("models--only");
    scratch_folder("models--only/snapshots");
    refused(scratch_path("models--only"),
            "the folder of the model holds no snapshot; download it again");
    scratch_folder("models--only/snapshots/" COMMIT_A);
    tensors_llama(&t, "models--only/snapshots/" COMMIT_A "/model.safetensors", 1, false);
    tensors_config("models--only/snapshots/" COMMIT_A "/config.json", 1, "");
    opens(scratch_path("models--only"), COMMIT_A);
    scratch_folder("models--only/snapshots/" COMMIT_B);
    refused(
        scratch_path("models--only"),
        "the folder of the model holds 2 snapshots and no revision 'main'; name the one that is "
        "meant: snapshots/COMMIT");
    scratch_folder("plain");
    scratch_folder("plain/snapshots"); /* a folder that happens to be called so is no model */
    resolves_to(scratch_path("plain"), NULL);
}

static sd_status open_once(void)
{
    sd_status      st = SD_OK;
    sd_checkpoint *c  = NULL;

    SD_TRY(sd_checkpoint_open(scratch_path(in_model("refs/step1000")), &c));
    sd_checkpoint_close(&c);
    SD_TRY(sd_checkpoint_open(scratch_path("models--only/snapshots/../../models--org--tiny"), &c));

done:
    sd_checkpoint_close(&c);
    return st;
}

int main(void)
{
    scratch_open();
    make_model();
    a_revision_is_its_snapshot();
    other_paths_mean_themselves();
    paths_may_be_relative();
    a_model_is_its_main_revision();
    a_ref_holds_a_commit_and_nothing_else();
    revisions_are_listed_by_name();
    a_download_that_is_not_whole_says_so();
    the_only_snapshot_needs_no_revision();
    scratch_text(in_model("refs/main"), COMMIT_A);
    walk_shortages(open_once);
    scratch_close();
    return REPORT();
}
