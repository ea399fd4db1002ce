/* Parses, starts MPI where the command needs it, runs one command, and makes the exit status. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/results.h"
#include "pipeline/command.h"
#include "pipeline/figures.h"
#include "pipeline/inspect.h"
#include "pipeline/interrupt.h"
#include "pipeline/libraries.h"
#include "pipeline/models/family.h"
#include "pipeline/run.h"
#include "solvers/base/memory.h"
#include "solvers/spectral/solver_versions.h"

/* Nothing can be agreed on over an MPI that fails: the one place where the program aborts. */
static void on_mpi_error(MPI_Comm *comm, int *code, ...)
{
    char text[MPI_MAX_ERROR_STRING];
    int  length = 0;

    MPI_Error_string(*code, text, &length);
    fprintf(stderr, "singdef: MPI failed: %s\n", text);
    MPI_Abort(*comm, sd_exit_code(SD_ERR_RESOURCE));
}

static void join_words(int n, char **word, char *out, size_t bytes)
{
    size_t used = 0;

    for (int i = 0; i < n && used < bytes; i++)
        used += (size_t)snprintf(out + used, bytes - used, "%s%s", i > 0 ? " " : "", word[i]);
}

/* Messages are told once: by the first rank, which does not name itself. */
static void tell(int rank)
{
    static const char self[] = "rank 0: ";
    const char       *text   = sd_message();

    if (strncmp(text, self, sizeof self - 1) == 0) text += sizeof self - 1;
    if (rank == 0 && text[0] != '\0') fprintf(stderr, "singdef: %s\n", text);
}

static sd_status run(int argc, char **argv, const sd_arguments *arguments)
{
    char           command_line[1024];
    int            provided, rank;
    sd_status      st;
    MPI_Errhandler handler;

    sd_interrupt_catch();
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_create_errhandler(on_mpi_error, &handler);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, handler);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    join_words(argc, argv, command_line, sizeof command_line);
    st = sd_run(MPI_COMM_WORLD, arguments, command_line);
    tell(rank);
    MPI_Errhandler_free(&handler);
    MPI_Finalize();
    return st;
}

static void print_finding(void *context, const char *line)
{
    (void)context;
    puts(line);
}

static sd_status check(const char *file)
{
    const sd_status st = sd_results_check(file, print_finding, NULL);

    if (st == SD_OK) printf("%s: every object and checksum is as it should be\n", file);
    return st;
}

/* figures/ beside the file, unless told otherwise. */
static sd_status figures(const sd_arguments *arguments)
{
    static const char *const all[]   = {"pdf", "svg", "png", NULL};
    sd_status                st      = SD_OK;
    sd_results              *results = NULL;
    const char              *file = arguments->operand, *slash = strrchr(file, '/');
    const size_t             bytes  = strlen(file) + 16;
    char                    *folder = NULL;

    SD_TRY(sd_results_open(file, &results));
    SD_TRY(sd_alloc((int64_t)bytes, 1, &folder));
    snprintf(folder, bytes, "%.*sfigures", slash != NULL ? (int)(slash - file) + 1 : 0, file);
    const char *to = arguments->output != NULL ? arguments->output : folder;
    SD_TRY(sd_figures_draw(results, to, arguments->formats[0] != NULL ? arguments->formats : all));
    printf("figures are in %s\n", to);

done:
    sd_results_close(&results);
    sd_free(folder);
    return st;
}

static void version(void)
{
    char text[SD_LIBRARIES_BYTES];

    sd_libraries(text, sizeof text);
    printf("singdef %s\n%s", SD_VERSION, text);
}

int main(int argc, char **argv)
{
    sd_arguments arguments;
    sd_status    st = sd_command_parse(argc, argv, &arguments);

    if (st != SD_OK) {
        tell(0);
        return sd_exit_code(st);
    }
    sd_blas_single_thread();
    switch (arguments.command) {
    case SD_COMMAND_RUN: return sd_exit_code(run(argc, argv, &arguments));
    case SD_COMMAND_INSPECT: st = sd_inspect(&arguments); break;
    case SD_COMMAND_FIGURES: st = figures(&arguments); break;
    case SD_COMMAND_CHECK: st = check(arguments.operand); break;
    case SD_COMMAND_HELP: sd_command_help(stdout, arguments.help_about); break;
    case SD_COMMAND_VERSION: version(); break;
    case SD_COMMAND_MANUAL: sd_command_manual(stdout); break;
    }
    if (fflush(stdout) != 0 && st == SD_OK)
        st = sd_fail(SD_ERR_RESOURCE, __FILE__, __LINE__, "standard output cannot be written");
    tell(0);
    return sd_exit_code(st);
}
