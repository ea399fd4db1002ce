/**
 * @file command.h
 * @brief The command line: one table of commands and options feeds the parser, --help and the
 * manual.
 *
 * Arguments are parsed before MPI starts.
 */
#ifndef SD_PIPELINE_COMMAND_H
#define SD_PIPELINE_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

#include "solvers/base/status.h"

typedef enum {
    SD_COMMAND_RUN,
    SD_COMMAND_INSPECT,
    SD_COMMAND_FIGURES,
    SD_COMMAND_CHECK,
    SD_COMMAND_HELP,    /* --help, alone or after a command: `help_about`            */
    SD_COMMAND_VERSION, /* --version                                                 */
    SD_COMMAND_MANUAL,  /* --manual: the manual page, for the installation            */
} sd_command;

typedef enum { SD_PROGRESS_AUTO, SD_PROGRESS_BAR, SD_PROGRESS_PLAIN, SD_PROGRESS_NONE } sd_progress;

/** What a person asked for. Strings are borrowed from argv. */
typedef struct {
    sd_command  command;
    const char *help_about; /* SD_COMMAND_HELP: the command, or NULL for the program */
    const char *operand;    /* STUDY.yaml, MODEL or STUDY.h5                          */
    const char *output;     /* -o DIR, or NULL                                        */
    const char *formats[4]; /* --formats of figures; NULL-terminated, empty: all      */
    sd_progress progress;
    bool        families, tensors, sha256; /* of inspect                               */
    const char *base;                      /* inspect --base PATH, or NULL              */
} sd_arguments;

/**
 * @brief Parses a command line.
 * Errors: SD_ERR_USAGE with the nearest known command, option or value.
 */
sd_status sd_command_parse(int argc, char **argv, sd_arguments *out);

/** @brief Prints the help of a command by name, or of the program for NULL. */
void sd_command_help(FILE *to, const char *command);

/** @brief Prints the manual page (troff) of the whole program. */
void sd_command_manual(FILE *to);

#endif
