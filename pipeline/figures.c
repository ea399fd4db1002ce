#include "pipeline/figures.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pipeline/figures/figure.h"
#include "solvers/base/memory.h"

extern char **environ;

static const char *const all_formats[] = {"pdf", "svg", "png", NULL};

static bool listed(const char *word, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(word, *list) == 0) return true;
    return false;
}

/* Text as printf makes it; yours, release with sd_free(). */
static sd_status SD_PRINTF_LIKE(2, 3) format_text(char **out, const char *format, ...)
{
    sd_status st = SD_OK;
    va_list   arguments;
    va_start(arguments, format);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    SD_REQUIRE(length >= 0, SD_ERR_INTERNAL, "no text could be made from '%s'", format);
    SD_TRY(sd_alloc((int64_t)length + 1, 1, out));
    va_start(arguments, format);
    vsnprintf(*out, (size_t)length + 1, format, arguments);
    va_end(arguments);
done:
    return st;
}

/* ---- files that appear whole or not at all ---- */

/* A file of a figure: FOLDER/NAME.EXT, and what it is called until it is whole. */
typedef struct {
    char *path, *temporary;
    FILE *stream;
} draft;

static sd_status draft_name(draft *file, const char *folder, const char *name, const char *ext)
{
    sd_status st = SD_OK;
    SD_TRY(format_text(&file->path, "%s/%s.%s", folder, name, ext));
    SD_TRY(format_text(&file->temporary, "%s/.%s.%s.%ld.tmp", folder, name, ext, (long)getpid()));
done:
    return st;
}

static sd_status draft_open(draft *file, const char *folder, const char *name, const char *ext)
{
    sd_status st = SD_OK;
    SD_TRY(draft_name(file, folder, name, ext));
    file->stream = fopen(file->temporary, "wb");
    SD_REQUIRE(file->stream != NULL, SD_ERR_RESOURCE, "%s: cannot be written: %s", file->path,
               strerror(errno));
done:
    return st;
}

static sd_status draft_keep(draft *file)
{
    sd_status st = SD_OK;
    if (file->stream != NULL) {
        const bool bad = ferror(file->stream) != 0;
        FILE      *stream = file->stream;
        file->stream = NULL;
        SD_REQUIRE(fclose(stream) == 0 && !bad, SD_ERR_RESOURCE, "%s: cannot be written: %s",
                   file->path, strerror(errno));
    }
    SD_REQUIRE(rename(file->temporary, file->path) == 0, SD_ERR_RESOURCE,
               "%s: cannot be renamed to %s: %s", file->temporary, file->path, strerror(errno));
    sd_free(file->temporary);
    file->temporary = NULL;
done:
    return st;
}

/* Releases; of a draft that was not kept nothing stays. */
static void draft_end(draft *file)
{
    if (file->stream != NULL) fclose(file->stream);
    if (file->temporary != NULL) unlink(file->temporary);
    sd_free(file->temporary);
    sd_free(file->path);
    *file = (draft){0};
}

static sd_status remove_old(const char *folder, const char *name, const char *ext)
{
    sd_status st = SD_OK;
    char     *path = NULL;
    SD_TRY(format_text(&path, "%s/%s.%s", folder, name, ext));
    SD_REQUIRE(unlink(path) == 0 || errno == ENOENT, SD_ERR_RESOURCE,
               "%s: is out of date and cannot be removed: %s", path, strerror(errno));
done:
    sd_free(path);
    return st;
}

/* ---- gnuplot ---- */

enum { OUTPUT_KEPT = 4096 }; /* bytes of what gnuplot prints; the first line is all that is shown */

/* The environment, with the time of day and the language taken out of what gnuplot writes. */
static sd_status child_environment(char ***out)
{
    static char  epoch[] = "SOURCE_DATE_EPOCH=0", language[] = "LC_ALL=C.UTF-8";
    sd_status    st = SD_OK;
    int64_t      n = 0, kept = 0;
    char       **list = NULL;
    while (environ != NULL && environ[n] != NULL) n++;
    SD_TRY(sd_alloc(n + 3, sizeof *list, &list));
    for (int64_t i = 0; i < n; i++)
        if (strncmp(environ[i], "SOURCE_DATE_EPOCH=", 18) != 0 &&
            strncmp(environ[i], "LC_ALL=", 7) != 0)
            list[kept++] = environ[i];
    list[kept++] = epoch;
    list[kept] = language;
    *out = list;
done:
    return st;
}

/* Starts gnuplot on a script, with a pipe that holds all it prints. */
static sd_status start(char *const *argument, pid_t *child, int *printed)
{
    sd_status                  st = SD_OK;
    int                        ends[2] = {-1, -1}, error = 0;
    char                     **environment = NULL;
    posix_spawn_file_actions_t actions;
    SD_REQUIRE(posix_spawn_file_actions_init(&actions) == 0, SD_ERR_RESOURCE, "no memory");
    SD_TRY(child_environment(&environment));
    SD_REQUIRE(pipe(ends) == 0, SD_ERR_RESOURCE, "no pipe to gnuplot: %s", strerror(errno));
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    if (error == 0)
        error = posix_spawnp(child, argument[0], &actions, NULL, argument, environment);
    SD_REQUIRE(error != ENOENT, SD_ERR_RESOURCE,
               "gnuplot was not found: install it or set `figures: none`");
    SD_REQUIRE(error == 0, SD_ERR_RESOURCE, "gnuplot could not be started: %s", strerror(error));
    *printed = ends[0];
    ends[0] = -1;
done:
    if (ends[0] >= 0) close(ends[0]);
    if (ends[1] >= 0) close(ends[1]);
    posix_spawn_file_actions_destroy(&actions);
    sd_free(environment);
    return st;
}

/* Reads to the end; keeps the beginning. */
static void read_all(int printed, char text[OUTPUT_KEPT])
{
    char    buffer[OUTPUT_KEPT];
    ssize_t n;
    size_t  length = 0;
    while ((n = read(printed, buffer, sizeof buffer)) != 0) {
        if (n < 0 && errno != EINTR) break;
        for (ssize_t i = 0; i < n && length + 1 < OUTPUT_KEPT; i++) text[length++] = buffer[i];
    }
    text[length] = '\0';
}

/* The first line that says something and is not a mere warning; cuts it out of the text. */
static const char *first_line(char *text)
{
    char *rest = NULL;
    for (char *line = strtok_r(text, "\r\n", &rest); line != NULL;
         line = strtok_r(NULL, "\r\n", &rest)) {
        line += strspn(line, " \t\f\v");
        if (*line != '\0' && strstr(line, "arning:") == NULL) return line;
    }
    return "it did not say why";
}

/* gnuplot's single quotes: nothing inside is special but the quote itself, which is doubled. */
static sd_status quoted(const char *text, char **out)
{
    sd_status st = SD_OK;
    char     *copy = NULL;
    SD_TRY(sd_alloc(2 * (int64_t)strlen(text) + 3, 1, &copy));
    *out = copy;
    *copy++ = '\'';
    for (; *text != '\0'; text++) {
        if (*text == '\'') *copy++ = '\'';
        *copy++ = *text;
    }
    *copy = '\'';
done:
    return st;
}

static sd_status run_gnuplot(const char *folder, const char *name, const char *format,
                             const char *output)
{
    sd_status st = SD_OK;
    char     *where = NULL, *setting = NULL, *script = NULL, said[OUTPUT_KEPT] = "";
    int       printed = -1, result = 0;
    pid_t     child = 0, ended = 0;
    SD_TRY(quoted(folder, &where));
    SD_TRY(format_text(&setting, "cd %s; format = '%s'; output = '%s'", where, format, output));
    SD_TRY(format_text(&script, "%s.gp", name));
    /* -d: the user's own gnuplot settings must not change the figures. */
    char  program[] = "gnuplot", bare[] = "-d", execute[] = "-e";
    char *argument[] = {program, bare, execute, setting, script, NULL};
    SD_TRY(start(argument, &child, &printed));
    read_all(printed, said);
    close(printed);
    while ((ended = waitpid(child, &result, 0)) < 0 && errno == EINTR) {}
    SD_REQUIRE(ended == child, SD_ERR_RESOURCE, "gnuplot was lost: %s", strerror(errno));
    SD_REQUIRE(!WIFSIGNALED(result), SD_ERR_RESOURCE, "gnuplot was killed by signal %d at %s/%s",
               WTERMSIG(result), folder, script);
    SD_REQUIRE(!WIFEXITED(result) || WEXITSTATUS(result) != 127 || said[0] != '\0',
               SD_ERR_RESOURCE, "gnuplot was not found: install it or set `figures: none`");
    SD_REQUIRE(result == 0, SD_ERR_RESOURCE, "gnuplot failed at %s/%s: %s", folder, script, first_line(said));
done:
    sd_free(where);
    sd_free(setting);
    sd_free(script);
    return st;
}

/* ---- one figure ---- */

/* NAME.gp: the script's leading comment, how to use it, the common style, the script. */
static sd_status write_script(const sd_figure *figure, const char *folder)
{
    sd_status   st = SD_OK;
    draft       file = {0};
    const char *body = figure->script;
    while (*body == '#') {
        const char *end = strchr(body, '\n');
        body = end != NULL ? end + 1 : body + strlen(body);
    }
    SD_TRY(draft_open(&file, folder, figure->name, "gp"));
    fprintf(file.stream, "%.*s#\n", (int)(body - figure->script), figure->script);
    fprintf(file.stream,
            "# In this folder: `gnuplot %s.gp` draws %s.png from %s.tsv;\n"
            "# `gnuplot -e \"format='pdf'\" %s.gp` draws the PDF, 'svg' the SVG.\n\nname = '%s'\n",
            figure->name, figure->name, figure->name, figure->name, figure->name);
    fputs(sd_script_style, file.stream);
    fputs(body, file.stream);
    SD_TRY(draft_keep(&file));
done:
    draft_end(&file);
    return st;
}

/*
 * Takes the time of day out of a PDF: cairo writes one CreationDate, uncompressed, and older ones do
 * not look at SOURCE_DATE_EPOCH. The digits are replaced by as many others, so that offsets hold.
 */
static sd_status settle_date(const char *path, int64_t size)
{
    static const char mark[] = "/CreationDate (D:", epoch[] = "19700101000000";
    sd_status         st = SD_OK;
    char             *bytes = NULL;
    FILE             *file = fopen(path, "r+b");
    SD_REQUIRE(file != NULL, SD_ERR_RESOURCE, "%s: %s", path, strerror(errno));
    SD_TRY(sd_alloc(size, 1, &bytes));
    SD_REQUIRE(fread(bytes, 1, (size_t)size, file) == (size_t)size, SD_ERR_RESOURCE,
               "%s: cannot be read", path);
    const int64_t last = size - (int64_t)(sizeof mark + sizeof epoch - 2);
    for (int64_t i = 0; i <= last; i++)
        if (memcmp(bytes + i, mark, sizeof mark - 1) == 0) {
            memcpy(bytes + i + sizeof mark - 1, epoch, sizeof epoch - 1);
            break;
        }
    rewind(file);
    SD_REQUIRE(fwrite(bytes, 1, (size_t)size, file) == (size_t)size && fflush(file) == 0,
               SD_ERR_RESOURCE, "%s: cannot be written: %s", path, strerror(errno));
done:
    if (file != NULL) fclose(file);
    sd_free(bytes);
    return st;
}

static sd_status draw_format(const char *name, const char *folder, const char *format)
{
    sd_status   st = SD_OK;
    draft       file = {0};
    struct stat made;
    SD_TRY(draft_name(&file, folder, name, format));
    SD_TRY(run_gnuplot(folder, name, format, strrchr(file.temporary, '/') + 1));
    SD_REQUIRE(stat(file.temporary, &made) == 0 && made.st_size > 0, SD_ERR_RESOURCE,
               "%s: gnuplot wrote nothing", file.path);
    if (strcmp(format, "pdf") == 0) SD_TRY(settle_date(file.temporary, (int64_t)made.st_size));
    SD_TRY(draft_keep(&file));
done:
    draft_end(&file);
    return st;
}

static sd_status draw(const sd_figure *figure, const sd_results *results, const char *folder,
                      const char *const *formats)
{
    sd_status st = SD_OK;
    draft     data = {0}, caption = {0};
    bool      drawn = false;
    SD_TRY(draft_open(&data, folder, figure->name, "tsv"));
    SD_TRY(draft_open(&caption, folder, figure->name, "txt"));
    fprintf(caption.stream, "%s\n", figure->title);
    SD_TRY(figure->write_data(results, data.stream, caption.stream, &drawn));
    /* What is left of an older study goes first: data and figure must not contradict each other. */
    for (const char *const *format = all_formats; *format != NULL; format++)
        if (!drawn || !listed(*format, formats))
            SD_TRY(remove_old(folder, figure->name, *format));
    SD_TRY(draft_keep(&caption));
    if (!drawn) {
        SD_TRY(remove_old(folder, figure->name, "gp"));
        SD_TRY(remove_old(folder, figure->name, "tsv"));
        goto done;
    }
    SD_TRY(draft_keep(&data));
    SD_TRY(write_script(figure, folder));
    for (const char *const *format = formats; *format != NULL; format++)
        SD_TRY(draw_format(figure->name, folder, *format));
done:
    draft_end(&data);
    draft_end(&caption);
    return st;
}

sd_status sd_figures_draw(const sd_results *results, const char *folder, const char *const *formats)
{
    sd_status st = SD_OK;
    char     *plain = NULL; /* gnuplot reads a leading ~ as a home folder */
    for (const char *const *format = formats; *format != NULL; format++)
        SD_REQUIRE(listed(*format, all_formats), SD_ERR_USAGE,
                   "'%s' is no format of a figure: pdf, svg or png", *format);
    SD_TRY(format_text(&plain, "%s%s", folder[0] == '~' ? "./" : "", folder));
    SD_REQUIRE(mkdir(plain, 0777) == 0 || errno == EEXIST, SD_ERR_RESOURCE,
               "%s: the folder cannot be made: %s", folder, strerror(errno));
    SD_TRY(sd_results_clean(plain));
    for (const sd_figure *const *figure = sd_figures; *figure != NULL; figure++)
        SD_TRY(draw(*figure, results, plain, formats));
done:
    sd_free(plain);
    return st;
}
