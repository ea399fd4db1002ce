#include "pipeline/progress.h"

#include <inttypes.h>
#include <mpi.h>
#include <stdio.h>
#include <unistd.h>

enum {
    WIDTH = 32,   /* characters of the bar           */
    LINE  = 8192, /* longer than any path and reason */
};

sd_progress_view sd_progress_start(sd_progress mode, int64_t total)
{
    if (mode == SD_PROGRESS_AUTO)
        mode = isatty(STDERR_FILENO) ? SD_PROGRESS_BAR : SD_PROGRESS_PLAIN;
    return (sd_progress_view){mode, total, MPI_Wtime()};
}

static void show_bar(const sd_progress_view *view, int64_t done)
{
    const double elapsed = MPI_Wtime() - view->begin_s;
    const double left    = elapsed / (double)done * (double)(view->total - done);
    const int    filled  = (int)(WIDTH * done / view->total);
    char         bar[WIDTH + 1];

    for (int i = 0; i < WIDTH; i++) bar[i] = i < filled ? '#' : '.';
    bar[WIDTH] = '\0';
    fprintf(stderr, "\r[%s] %" PRId64 " of %" PRId64 ", %.1f a minute, %d:%02d left \033[K", bar,
            done, view->total, 60 * (double)done / elapsed, (int)left / 60, (int)left % 60);
}

void sd_progress_show(const sd_progress_view *view, int64_t done, const char *run, int64_t step,
                      const char *what, double seconds)
{
    if (view->mode == SD_PROGRESS_BAR) show_bar(view, done);
    if (view->mode == SD_PROGRESS_PLAIN)
        fprintf(stderr, "%" PRId64 " of %" PRId64 ": %s step %" PRId64 " %s, %.1f s\n", done,
                view->total, run, step, what, seconds);
}

/* The name of a checkpoint may hold anything; a message is one line. */
void sd_progress_message(const sd_progress_view *view, const char *text)
{
    char line[LINE];

    snprintf(line, sizeof line, "%s", text);
    for (char *c = line; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?';
    fprintf(stderr, "%ssingdef: %s\n", view->mode == SD_PROGRESS_BAR ? "\r\033[K" : "", line);
}

void sd_progress_end(const sd_progress_view *view)
{
    if (view->mode == SD_PROGRESS_BAR) fputc('\n', stderr);
}
