/* The command line: what each command takes, what is refused and how, and what help and the manual
 * show. */
#include "pipeline/command.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"

enum { MOST = 12 };

static sd_arguments got;

/* Parses the words, NULL-terminated, behind the program's name. */
static sd_status parse(const char *const *words)
{
    char *argv[MOST + 2] = {(char[]){"singdef"}};
    int   argc           = 1;

    for (; words[argc - 1] != NULL; argc++) memcpy(&argv[argc], &words[argc - 1], sizeof *argv);
    sd_clear();
    return sd_command_parse(argc, argv, &got);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

#define REFUSED(text, ...)                                                                         \
    do {                                                                                           \
        CHECK(PARSE(__VA_ARGS__) == SD_ERR_USAGE);                                                 \
        CHECK(strcmp(sd_message(), text) == 0);                                                    \
        if (strcmp(sd_message(), text) != 0) fprintf(stderr, "said: %s\n", sd_message());          \
    } while (0)

static void a_bare_command_has_the_defaults(void)
{
    CHECK(PARSE("run", "study.yaml") == SD_OK && got.command == SD_COMMAND_RUN);
    CHECK(strcmp(got.operand, "study.yaml") == 0 && got.output == NULL);
    CHECK(got.progress == SD_PROGRESS_AUTO && !got.families && got.formats[0] == NULL);
    CHECK(PARSE("inspect", "m") == SD_OK && got.command == SD_COMMAND_INSPECT && got.base == NULL);
    CHECK(PARSE("figures", "m") == SD_OK && got.command == SD_COMMAND_FIGURES);
    CHECK(PARSE("check", "m") == SD_OK && got.command == SD_COMMAND_CHECK);
}

static void options_stand_anywhere_in_three_forms(void)
{
    CHECK(PARSE("run", "-o", "out", "s") == SD_OK && strcmp(got.output, "out") == 0);
    CHECK(PARSE("run", "s", "--output", "out") == SD_OK && strcmp(got.output, "out") == 0);
    CHECK(PARSE("run", "--output=o=t", "s") == SD_OK && strcmp(got.output, "o=t") == 0);
    CHECK(PARSE("run", "s", "-o", "--progress") == SD_OK && strcmp(got.output, "--progress") == 0);
    CHECK(PARSE("run", "-o", "a", "s", "-o", "b") == SD_OK && strcmp(got.output, "b") == 0);
    CHECK(PARSE("check", "--", "--help") == SD_OK && strcmp(got.operand, "--help") == 0);
    CHECK(PARSE("check", "-") == SD_OK && strcmp(got.operand, "-") == 0);
}

static void every_way_of_progress_is_known(void)
{
    CHECK(PARSE("run", "s", "--progress", "auto") == SD_OK && got.progress == SD_PROGRESS_AUTO);
    CHECK(PARSE("run", "s", "--progress", "bar") == SD_OK && got.progress == SD_PROGRESS_BAR);
    CHECK(PARSE("run", "s", "--progress", "plain") == SD_OK && got.progress == SD_PROGRESS_PLAIN);
    CHECK(PARSE("run", "s", "--progress", "none") == SD_OK && got.progress == SD_PROGRESS_NONE);
    REFUSED("--progress is 'fast'; known: auto bar plain none", "run", "s", "--progress=fast");
}

static void formats_are_a_list(void)
{
    CHECK(PARSE("figures", "s", "--formats", "svg") == SD_OK);
    CHECK(strcmp(got.formats[0], "svg") == 0 && got.formats[1] == NULL);
    CHECK(PARSE("figures", "s", "--formats", "png,pdf,svg") == SD_OK);
    CHECK(strcmp(got.formats[0], "png") == 0 && strcmp(got.formats[1], "pdf") == 0 &&
          strcmp(got.formats[2], "svg") == 0 && got.formats[3] == NULL);
    REFUSED("--formats has 'gif', want up to three of pdf, svg, png with commas", "figures", "s",
            "--formats", "pdf,gif");
    REFUSED("--formats has 'pd', want up to three of pdf, svg, png with commas", "figures", "s",
            "--formats", "pd");
    REFUSED("--formats has '', want up to three of pdf, svg, png with commas", "figures", "s",
            "--formats", ",pdf");
    REFUSED("--formats has 'pdf', want up to three of pdf, svg, png with commas", "figures", "s",
            "--formats", "pdf,pdf,pdf,pdf");
}

static void an_adapter_s_base_can_be_given(void)
{
    CHECK(PARSE("inspect", "m", "--base", "b") == SD_OK && strcmp(got.base, "b") == 0);
    REFUSED("--base wants PATH: the model that MODEL is an adapter for; default: as it says",
            "inspect", "m", "--base");
}

static void families_need_no_operand(void)
{
    CHECK(PARSE("inspect", "--families") == SD_OK && got.families && got.operand == NULL);
    CHECK(PARSE("inspect", "--tensors", "m") == SD_OK && got.tensors && !got.sha256);
    CHECK(PARSE("inspect", "m", "--sha256") == SD_OK && got.sha256 && !got.tensors);
    REFUSED("--families takes no MODEL; 'x' is one", "inspect", "--families", "x");
    REFUSED("--families takes no value", "inspect", "--families=x");
}

static void what_stands_without_a_command(void)
{
    CHECK(PARSE("--help") == SD_OK && got.command == SD_COMMAND_HELP && got.help_about == NULL);
    CHECK(PARSE("-h") == SD_OK && got.command == SD_COMMAND_HELP);
    CHECK(PARSE("--version") == SD_OK && got.command == SD_COMMAND_VERSION);
    CHECK(PARSE("--manual") == SD_OK && got.command == SD_COMMAND_MANUAL);
    CHECK(PARSE("run", "-o", "x", "--help") == SD_OK && got.command == SD_COMMAND_HELP);
    CHECK(strcmp(got.help_about, "run") == 0);
}

static void wrong_usage_is_refused_with_a_reason(void)
{
    const char *const none[] = {NULL};

    CHECK(parse(none) == SD_ERR_USAGE);
    CHECK(strcmp(sd_message(), "no command given; see singdef --help") == 0);
    REFUSED("there is no command 'rum'; did you mean 'run'?", "rum");
    REFUSED("there is no command ''; known: run inspect figures check", "");
    REFUSED("there is no option '--helo' in front of a command; did you mean '--help'?", "--helo");
    REFUSED("'watch' is not supported by this version", "watch", "x");
    REFUSED("'run' wants a STUDY.yaml; see singdef run --help", "run");
    REFUSED("'run' takes one STUDY.yaml; 'b' is a second one", "run", "a", "b");
    REFUSED("'check' got an empty STUDY.h5", "check", "");
    REFUSED("'run' has no option '--formats'; known: --output --progress --help", "run", "s",
            "--formats", "pdf");
    REFUSED("'run' has no option '--outputs'; did you mean '--output'?", "run", "--outputs");
    REFUSED("--output wants DIR: result folder; default: results/<name of the study file>", "run",
            "s", "-o");
    REFUSED("--output wants DIR: result folder; default: results/<name of the study file>", "run",
            "s", "--output=");
}

/* What a printer prints; yours, free(). */
static char *printed(const char *command, bool manual)
{
    char  *text  = NULL;
    size_t bytes = 0;
    FILE  *to    = open_memstream(&text, &bytes);

    if (manual)
        sd_command_manual(to);
    else
        sd_command_help(to, command);
    fclose(to);
    return text;
}

static void help_shows_every_option_of_its_command(void)
{
    char *text = printed("run", false);

    CHECK(strncmp(text, "Usage: singdef run [options] STUDY.yaml\n", 40) == 0);
    CHECK(strstr(text, "-o, --output DIR") != NULL && strstr(text, "--progress MODE") != NULL);
    CHECK(strstr(text, "--formats") == NULL && strstr(text, "--help") != NULL);
    free(text);
    text = printed(NULL, false);
    CHECK(strstr(text, "run") && strstr(text, "inspect") && strstr(text, "figures") &&
          strstr(text, "check") && strstr(text, "75 interrupted and resumable"));
    free(text);
}

/* A hyphen of an option is a minus, which can be searched for and copied; no line starts a request
 * that the text did not mean. */
static void the_manual_is_troff(void)
{
    char *text = printed(NULL, true);

    CHECK(strncmp(text, ".TH SINGDEF 1\n", 14) == 0);
    CHECK(strstr(text, "\\-\\-output") != NULL && strstr(text, "--output") == NULL);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        CHECK(*line != '\'');
        if (*line == '.') CHECK(line[1] >= 'A' && line[1] <= 'z');
    }
    free(text);
}

int main(void)
{
    a_bare_command_has_the_defaults();
    options_stand_anywhere_in_three_forms();
    every_way_of_progress_is_known();
    formats_are_a_list();
    an_adapter_s_base_can_be_given();
    families_need_no_operand();
    what_stands_without_a_command();
    wrong_usage_is_refused_with_a_reason();
    help_shows_every_option_of_its_command();
    the_manual_is_troff();
    return REPORT();
}
