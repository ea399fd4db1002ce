#include "pipeline/command.h"

#include <string.h>

#include "pipeline/nearest.h"

enum { HINT = 256, MAX_OPTIONS = 4 };

#define EXIT_STATUS                                                                                \
    "0 done, 1 a check failed, 2 wrong usage or study file, 3 an input is at fault,\n"             \
    "4 a resource failed, 5 a bug, 75 interrupted and resumable.\n"

/* ---- the table ---- */

typedef struct {
    const char *name, *letter; /* "--output", "-o" or NULL                     */
    const char *value;         /* what it takes, or NULL for none              */
    const char *help;
    sd_status (*take)(sd_arguments *arguments, const char *value);
} option;

typedef struct {
    const char *name;
    sd_command  command;
    const char *operand; /* in the usage line                             */
    const char *help;    /* one sentence                                  */
    const char *more;    /* further lines of its --help                   */
    option      options[MAX_OPTIONS];
} command_row;

static sd_status take_output(sd_arguments *arguments, const char *value)
{
    arguments->output = value;
    return SD_OK;
}

static sd_status take_families(sd_arguments *arguments, const char *value)
{
    (void)value;
    arguments->families = true;
    return SD_OK;
}

static sd_status take_base(sd_arguments *arguments, const char *value)
{
    arguments->base = value;
    return SD_OK;
}

static sd_status take_tensors(sd_arguments *arguments, const char *value)
{
    (void)value;
    arguments->tensors = true;
    return SD_OK;
}

static sd_status take_sha256(sd_arguments *arguments, const char *value)
{
    (void)value;
    arguments->sha256 = true;
    return SD_OK;
}

static sd_status take_progress(sd_arguments *arguments, const char *value)
{
    static const char *const words[] = {"auto", "bar", "plain", "none", NULL};
    char                     hint[HINT];

    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(value, words[i]) == 0) {
            arguments->progress = (sd_progress)i;
            return SD_OK;
        }
    return sd_fail(SD_ERR_USAGE, __FILE__, __LINE__, "--progress is '%s'%s", value,
                   sd_nearest_hint(value, words, hint, HINT));
}

static sd_status take_formats(sd_arguments *arguments, const char *value)
{
    static const char *const words[] = {"pdf", "svg", "png", NULL};
    int                      n       = 0;

    while (*value != '\0') {
        const size_t length = strcspn(value, ",");
        int          k      = 0;

        while (words[k] != NULL &&
               !(strlen(words[k]) == length && strncmp(value, words[k], length) == 0))
            k++;
        if (words[k] == NULL || n == 3)
            return sd_fail(SD_ERR_USAGE, __FILE__, __LINE__,
                           "--formats has '%.*s', want up to three of pdf, svg, png with commas",
                           (int)length, value);
        arguments->formats[n++] = words[k];
        value += length + (value[length] == ',');
    }
    return SD_OK;
}

static const command_row commands[] = {
    {"run",
     SD_COMMAND_RUN,
     "STUDY.yaml",
     "Measures every checkpoint of a study, alone or under mpirun.",
     "The same command again resumes: units that are done are kept, failed ones are tried again.\n"
     "SIGUSR1 or SIGTERM stops within 5 seconds with status 75; nothing but the units in progress "
     "is lost.\n",
     {{"--output", "-o", "DIR", "result folder; default: results/<name of the study file>",
       take_output},
      {"--progress", NULL, "MODE",
       "auto, bar, plain (a line per checkpoint) or none; default: auto, a bar on a terminal",
       take_progress}}},
    {"inspect",
     SD_COMMAND_INSPECT,
     "MODEL",
     "Shows family, sizes, tensors and storage formats of one checkpoint, and what is wrong or "
     "conspicuous.",
     "",
     {{"--base", NULL, "PATH", "the model that MODEL is an adapter for; default: as it says",
       take_base},
      {"--families", NULL, NULL, "lists the model families that this version knows", take_families},
      {"--tensors", NULL, NULL, "lists every tensor with its type, shape and hash", take_tensors},
      {"--sha256", NULL, NULL, "adds the SHA-256 of each file, and of each tensor that is listed",
       take_sha256}}},
    {"figures",
     SD_COMMAND_FIGURES,
     "STUDY.h5",
     "Draws the figures of a result file, each with its script and data beside it.",
     "",
     {{"--output", "-o", "DIR", "folder for the figures; default: figures/ beside the file",
       take_output},
      {"--formats", NULL, "LIST", "of pdf, svg, png, with commas; default: all", take_formats}}},
    {"check",
     SD_COMMAND_CHECK,
     "STUDY.h5",
     "Validates a result file against the schema and its own checksums.",
     "Prints one line per finding; status 1 when there is one.\n",
     {{0}}},
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

/* Commands of the design that come with later stages: named, never mistaken for typing errors. */
static const char *const later[] = {"compare", "report", "export", "plan", "watch", NULL};

/* What stands without a command. */
static const char *const alone[] = {"--help", "--version", "--manual", NULL};

/* ---- parsing ---- */

static const command_row *find_command(const char *name)
{
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

static sd_status unknown_command(const char *name)
{
    const char *names[N_COMMANDS + 1] = {0};
    char        hint[HINT];

    if (name[0] == '-')
        return sd_fail(SD_ERR_USAGE, __FILE__, __LINE__,
                       "there is no option '%s' in front of a command%s", name,
                       sd_nearest_hint(name, alone, hint, HINT));
    for (const char *const *it = later; *it != NULL; it++)
        if (strcmp(name, *it) == 0)
            return sd_fail(SD_ERR_USAGE, __FILE__, __LINE__,
                           "'%s' is not supported by this version", name);
    for (int i = 0; i < N_COMMANDS; i++) names[i] = commands[i].name;
    return sd_fail(SD_ERR_USAGE, __FILE__, __LINE__, "there is no command '%s'%s", name,
                   sd_nearest_hint(name, names, hint, HINT));
}

/* Whether `word` is the option, with its value perhaps behind '='. */
static bool names_option(const option *o, const char *word, const char **value)
{
    const size_t n = strlen(o->name);

    *value = NULL;
    if (o->letter != NULL && strcmp(word, o->letter) == 0) return true;
    if (strncmp(word, o->name, n) != 0) return false;
    if (word[n] == '=') *value = word + n + 1;
    return word[n] == '\0' || word[n] == '=';
}

static sd_status parse_option(const command_row *row, int argc, char **argv, int *at,
                              sd_arguments *out)
{
    const char *names[MAX_OPTIONS + 2] = {0};
    char        hint[HINT];
    const char *word = argv[*at], *value;

    for (int i = 0; i < MAX_OPTIONS && row->options[i].name != NULL; i++) {
        const option *o = &row->options[i];

        names[i] = o->name;
        if (!names_option(o, word, &value)) continue;
        if (o->value == NULL && value != NULL)
            return sd_fail(SD_ERR_USAGE, __FILE__, __LINE__, "%s takes no value", o->name);
        if (o->value != NULL && value == NULL && *at + 1 < argc) value = argv[++*at];
        if (o->value != NULL && (value == NULL || value[0] == '\0'))
            return sd_fail(SD_ERR_USAGE, __FILE__, __LINE__, "%s wants %s: %s", o->name, o->value,
                           o->help);
        return o->take(out, value);
    }
    for (int i = 0; i <= MAX_OPTIONS; i++)
        if (names[i] == NULL) {
            names[i] = "--help";
            break;
        }
    return sd_fail(SD_ERR_USAGE, __FILE__, __LINE__, "'%s' has no option '%s'%s", row->name, word,
                   sd_nearest_hint(word, names, hint, HINT));
}

static sd_status parse_operands(const command_row *row, int argc, char **argv, sd_arguments *out)
{
    sd_status st            = SD_OK;
    bool      only_operands = false;

    for (int i = 2; i < argc; i++) {
        if (!only_operands && strcmp(argv[i], "--help") == 0) {
            out->command    = SD_COMMAND_HELP;
            out->help_about = row->name;
            return SD_OK;
        }
        if (!only_operands && strcmp(argv[i], "--") == 0)
            only_operands = true;
        else if (!only_operands && argv[i][0] == '-' && argv[i][1] != '\0')
            SD_TRY(parse_option(row, argc, argv, &i, out));
        else {
            SD_REQUIRE(out->operand == NULL, SD_ERR_USAGE,
                       "'%s' takes one %s; '%s' is a second one", row->name, row->operand, argv[i]);
            SD_REQUIRE(argv[i][0] != '\0', SD_ERR_USAGE, "'%s' got an empty %s", row->name,
                       row->operand);
            out->operand = argv[i];
        }
    }
    SD_REQUIRE(out->operand == NULL || !out->families, SD_ERR_USAGE,
               "--families takes no %s; '%s' is one", row->operand, out->operand);
    SD_REQUIRE(out->operand != NULL || out->families, SD_ERR_USAGE,
               "'%s' wants a %s; see singdef %s --help", row->name, row->operand, row->name);

done:
    return st;
}

sd_status sd_command_parse(int argc, char **argv, sd_arguments *out)
{
    sd_status st = SD_OK;

    memset(out, 0, sizeof *out);
    SD_REQUIRE(argc >= 2, SD_ERR_USAGE, "no command given; see singdef --help");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        out->command = SD_COMMAND_HELP;
    else if (strcmp(argv[1], "--version") == 0)
        out->command = SD_COMMAND_VERSION;
    else if (strcmp(argv[1], "--manual") == 0)
        out->command = SD_COMMAND_MANUAL;
    else {
        const command_row *row = find_command(argv[1]);

        if (row == NULL) SD_TRY(unknown_command(argv[1]));
        out->command = row->command;
        SD_TRY(parse_operands(row, argc, argv, out));
    }

done:
    return st;
}

/* ---- help ---- */

static void print_options(FILE *to, const command_row *row)
{
    for (int i = 0; i < MAX_OPTIONS && row->options[i].name != NULL; i++) {
        const option *o = &row->options[i];
        char          left[64];

        snprintf(left, sizeof left, "%s%s%s%s%s", o->letter != NULL ? o->letter : "",
                 o->letter != NULL ? ", " : "", o->name, o->value != NULL ? " " : "",
                 o->value != NULL ? o->value : "");
        fprintf(to, "  %-20s %s\n", left, o->help);
    }
    fprintf(to, "  %-20s %s\n", "--help", "shows this");
}

static void print_command_help(FILE *to, const command_row *row)
{
    fprintf(to, "Usage: singdef %s [options] %s\n\n%s\n%s\n", row->name, row->operand, row->help,
            row->more);
    print_options(to, row);
}

void sd_command_help(FILE *to, const char *command)
{
    if (command != NULL) {
        print_command_help(to, find_command(command));
        return;
    }
    fprintf(to, "Usage: singdef COMMAND [options] FILE\n\n"
                "Measures singular defects in language models over whole training runs.\n\n");
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-8s %-11s %s\n", commands[i].name, commands[i].operand, commands[i].help);
    fprintf(to, "\n  singdef COMMAND --help shows its options, singdef --version the libraries in "
                "use,\n  singdef --manual prints the manual page.\n\nExit status: " EXIT_STATUS);
}

/* Text for troff: a hyphen is a minus that can be copied, a leading dot or quote is no request. */
static void print_troff(FILE *to, const char *text)
{
    bool at_start = true;

    for (; *text != '\0'; text++) {
        if (at_start && (*text == '.' || *text == '\'')) fputs("\\&", to);
        if (*text == '-' || *text == '\\') fputc('\\', to);
        fputs(*text == '\\' ? "e" : (char[]){*text, '\0'}, to);
        at_start = *text == '\n';
    }
}

static void print_manual_option(FILE *to, const option *o)
{
    fputs(".TP\n.B ", to);
    if (o->letter != NULL) {
        print_troff(to, o->letter);
        fputs(", ", to);
    }
    print_troff(to, o->name);
    if (o->value != NULL) fprintf(to, " \\fI%s\\fR", o->value);
    fputc('\n', to);
    print_troff(to, o->help);
    fputc('\n', to);
}

static void print_manual_command(FILE *to, const command_row *row)
{
    fprintf(to, ".SS singdef %s [options] %s\n", row->name, row->operand);
    print_troff(to, row->help);
    fputc('\n', to);
    print_troff(to, row->more);
    for (int i = 0; i < MAX_OPTIONS && row->options[i].name != NULL; i++)
        print_manual_option(to, &row->options[i]);
}

void sd_command_manual(FILE *to)
{
    fprintf(to,
            ".TH SINGDEF 1\n.SH NAME\nsingdef \\- singular defects in language models over whole "
            "training runs\n.SH SYNOPSIS\n.B singdef\n.I COMMAND\n[options]\n.I FILE\n.br\n"
            ".B singdef\n\\-\\-help | \\-\\-version | \\-\\-manual\n.SH COMMANDS\n"
            "Each command has a \\-\\-help of its own.\n");
    for (int i = 0; i < N_COMMANDS; i++) print_manual_command(to, &commands[i]);
    fputs(".SH EXIT STATUS\n", to);
    print_troff(to, EXIT_STATUS);
}
