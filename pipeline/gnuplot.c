#include "pipeline/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "solvers/base/memory.h"

extern char **environ;

#define NOT_FOUND "gnuplot was not found: install it or set `figures: none`"

enum { OUTPUT_KEPT = 4096 }; /* bytes of what gnuplot prints; the first line is all that is shown */

/* The environment, with the time of day and the language taken out of what gnuplot writes. */
static sd_status child_environment(char ***out)
{
    static char epoch[] = "SOURCE_DATE_EPOCH=0", language[] = "LC_ALL=C.UTF-8";
    sd_status   st = SD_OK;
    int64_t     n = 0, kept = 0;
    char      **list = NULL;
    while (environ != NULL && environ[n] != NULL) n++;
    SD_TRY(sd_alloc(n + 3, sizeof *list, &list));
    for (int64_t i = 0; i < n; i++)
        if (strncmp(environ[i], "SOURCE_DATE_EPOCH=", 18) != 0 &&
            strncmp(environ[i], "LC_ALL=", 7) != 0)
            list[kept++] = environ[i];
    list[kept++] = epoch;
    list[kept]   = language;
    *out         = list;
done:
    return st;
}

/* Starts gnuplot on a script, with a pipe that holds all it prints. */
static sd_status start(char *const *argument, pid_t *child, int *printed)
{
    sd_status                  st      = SD_OK;
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
    if (error == 0) error = posix_spawnp(child, argument[0], &actions, NULL, argument, environment);
    SD_REQUIRE(error != ENOENT, SD_ERR_RESOURCE, NOT_FOUND);
    SD_REQUIRE(error == 0, SD_ERR_RESOURCE, "gnuplot could not be started: %s", strerror(error));
    *printed = ends[0];
    ends[0]  = -1;
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
         line       = strtok_r(NULL, "\r\n", &rest)) {
        line += strspn(line, " \t\f\v");
        if (*line != '\0' && strstr(line, "arning:") == NULL) return line;
    }
    return "it did not say why";
}

/* gnuplot's single quotes: nothing inside is special but the quote itself, which is doubled. */
static sd_status quoted(const char *text, char **out)
{
    sd_status st   = SD_OK;
    char     *copy = NULL;
    SD_TRY(sd_alloc(2 * (int64_t)strlen(text) + 3, 1, &copy));
    *out    = copy;
    *copy++ = '\'';
    for (; *text != '\0'; text++) {
        if (*text == '\'') *copy++ = '\'';
        *copy++ = *text;
    }
    *copy = '\'';
done:
    return st;
}

/* The value of -e: where to go, and the script's two variables. Yours, release with sd_free(). */
static sd_status make_setting(const sd_gnuplot *job, char **out)
{
    static const char form[] = "cd %s; format = '%s'; output = '%s'";
    sd_status         st     = SD_OK;
    char             *folder = NULL, *setting = NULL;

    SD_TRY(quoted(job->folder, &folder));
    const size_t size = sizeof form + strlen(folder) + strlen(job->format) + strlen(job->output);
    SD_TRY(sd_alloc((int64_t)size, 1, &setting));
    snprintf(setting, size, form, folder, job->format, job->output);
    *out = setting;

done:
    sd_free(folder);
    return st;
}

sd_status sd_gnuplot_run(const sd_gnuplot *job)
{
    sd_status st      = SD_OK;
    char     *setting = NULL, *script = NULL, said[OUTPUT_KEPT] = "";
    int       printed = -1, result = 0;
    pid_t     child = 0, ended = 0;

    SD_TRY(make_setting(job, &setting));
    SD_TRY(sd_copy_string(job->script, &script));
    /* -d: the user's own gnuplot settings must not change the figures. */
    char  program[] = "gnuplot", bare[] = "-d", execute[] = "-e";
    char *argument[] = {program, bare, execute, setting, script, NULL};
    SD_TRY(start(argument, &child, &printed));
    read_all(printed, said);
    close(printed);
    while ((ended = waitpid(child, &result, 0)) < 0 && errno == EINTR) {
    }
    SD_REQUIRE(ended == child, SD_ERR_RESOURCE, "gnuplot was lost: %s", strerror(errno));
    SD_REQUIRE(!WIFSIGNALED(result), SD_ERR_RESOURCE, "gnuplot was killed by signal %d at %s/%s",
               WTERMSIG(result), job->folder, script);
    SD_REQUIRE(!WIFEXITED(result) || WEXITSTATUS(result) != 127 || said[0] != '\0', SD_ERR_RESOURCE,
               NOT_FOUND);
    SD_REQUIRE(result == 0, SD_ERR_RESOURCE, "gnuplot failed at %s/%s: %s", job->folder, script,
               first_line(said));

done:
    sd_free(setting);
    sd_free(script);
    return st;
}
