#include "pipeline/figures.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/atomic_file.h"
#include "pipeline/figures/figure.h"
#include "pipeline/gnuplot.h"
#include "solvers/base/memory.h"

static const char *const all_formats[] = {"pdf", "svg", "png", NULL};

static bool listed(const char *word, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(word, *list) == 0) return true;
    return false;
}

/* FOLDER/NAME.EXT; yours, release with sd_free(). */
static sd_status make_path(const char *folder, const char *name, const char *ext, char **out)
{
    sd_status    st   = SD_OK;
    const size_t size = strlen(folder) + strlen(name) + strlen(ext) + sizeof "./" + 1;
    SD_TRY(sd_alloc((int64_t)size, 1, out));
    snprintf(*out, size, "%s/%s.%s", folder, name, ext);
done:
    return st;
}

/* ---- files that appear whole or not at all ---- */

/* A file of a figure: FOLDER/NAME.EXT, and what it is called until it is whole. */
typedef struct {
    char *path, *temporary;
    FILE *stream; /* NULL: somebody else writes it */
} draft;

static sd_status draft_name(draft *file, const char *folder, const char *name, const char *ext)
{
    sd_status st = SD_OK;
    SD_TRY(make_path(folder, name, ext, &file->path));
    SD_TRY(sd_atomic_name(file->path, &file->temporary));
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
        FILE      *stream = file->stream;
        const bool bad    = ferror(stream) != 0;
        file->stream      = NULL;
        SD_REQUIRE(fclose(stream) == 0 && !bad, SD_ERR_RESOURCE, "%s: cannot be written: %s",
                   file->path, strerror(errno));
    }
    SD_TRY(sd_atomic_commit(file->temporary, file->path));
    sd_free(file->temporary);
    file->temporary = NULL;
done:
    return st;
}

/* Releases; of a draft that was not kept nothing stays. */
static void draft_end(draft *file)
{
    if (file->stream != NULL) fclose(file->stream);
    sd_atomic_discard(file->temporary);
    sd_free(file->temporary);
    sd_free(file->path);
    *file = (draft){0};
}

static sd_status remove_old(const char *folder, const char *name, const char *ext)
{
    sd_status st   = SD_OK;
    char     *path = NULL;
    SD_TRY(make_path(folder, name, ext, &path));
    SD_REQUIRE(unlink(path) == 0 || errno == ENOENT, SD_ERR_RESOURCE,
               "%s: is out of date and cannot be removed: %s", path, strerror(errno));
done:
    sd_free(path);
    return st;
}

/* ---- one figure ---- */

/* NAME.gp: the script's leading comment, how to use it, the common style, the script. */
static sd_status write_script(const sd_figure *figure, const char *folder)
{
    sd_status   st   = SD_OK;
    draft       file = {0};
    const char *body = figure->script;
    while (*body == '#') {
        const char *end = strchr(body, '\n');
        body            = end != NULL ? end + 1 : body + strlen(body);
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
 * Takes the time of day out of a PDF: cairo writes one CreationDate, uncompressed, and older ones
 * do not look at SOURCE_DATE_EPOCH. The digits are replaced by as many others, so that offsets
 * hold.
 */
static sd_status settle_date(const char *path, int64_t size)
{
    static const char mark[] = "/CreationDate (D:", epoch[] = "19700101000000";
    sd_status         st    = SD_OK;
    char             *bytes = NULL;
    FILE             *file  = fopen(path, "r+b");
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
    sd_status   st     = SD_OK;
    draft       file   = {0};
    char       *script = NULL;
    struct stat made;
    SD_TRY(draft_name(&file, folder, name, format));
    SD_TRY(make_path(".", name, "gp", &script));
    const sd_gnuplot job = {folder, script, format, strrchr(file.temporary, '/') + 1};
    SD_TRY(sd_gnuplot_run(&job));
    SD_REQUIRE(stat(file.temporary, &made) == 0 && made.st_size > 0, SD_ERR_RESOURCE,
               "%s: gnuplot wrote nothing", file.path);
    if (strcmp(format, "pdf") == 0) SD_TRY(settle_date(file.temporary, (int64_t)made.st_size));
    SD_TRY(draft_keep(&file));
done:
    sd_free(script);
    draft_end(&file);
    return st;
}

static sd_status draw(const sd_figure *figure, const sd_results *results, const char *folder,
                      const char *const *formats)
{
    sd_status st   = SD_OK;
    draft     data = {0}, caption = {0};
    bool      drawn = false;
    SD_TRY(draft_open(&data, folder, figure->name, "tsv"));
    SD_TRY(draft_open(&caption, folder, figure->name, "txt"));
    fprintf(caption.stream, "%s\n", figure->title);
    SD_TRY(figure->write_data(results, data.stream, caption.stream, &drawn));
    /* What is left of an older study goes first: data and figure must not contradict each other. */
    for (const char *const *format = all_formats; *format != NULL; format++)
        if (!drawn || !listed(*format, formats)) SD_TRY(remove_old(folder, figure->name, *format));
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
    sd_status    st     = SD_OK;
    const char  *prefix = folder[0] == '~' ? "./" : ""; /* gnuplot reads ~ as a home folder */
    const size_t size   = strlen(prefix) + strlen(folder) + 1;
    char        *plain  = NULL;
    for (const char *const *format = formats; *format != NULL; format++)
        SD_REQUIRE(listed(*format, all_formats), SD_ERR_USAGE,
                   "'%s' is no format of a figure: pdf, svg or png", *format);
    SD_REQUIRE(sd_results_runs(results) > 0, SD_ERR_CHECK, "the study has no runs to draw");
    SD_TRY(sd_alloc((int64_t)size, 1, &plain));
    snprintf(plain, size, "%s%s", prefix, folder);
    SD_REQUIRE(mkdir(plain, 0777) == 0 || errno == EEXIST, SD_ERR_RESOURCE,
               "%s: the folder cannot be made: %s", folder, strerror(errno));
    SD_TRY(sd_results_clean(plain));
    for (const sd_figure *const *figure = sd_figures; *figure != NULL; figure++)
        SD_TRY(draw(*figure, results, plain, formats));
done:
    sd_free(plain);
    return st;
}
