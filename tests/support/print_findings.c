/* print_findings STUDY.yaml: one line per finding of the survey: run, step, kind, path, message,
 * with tabs. For tests/e2e/test_hygiene.py; any number of ranks. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/text.h"
#include "pipeline/survey.h"
#include "solvers/base/memory.h"

int main(int argc, char **argv)
{
    sd_status   st    = SD_OK;
    sd_study   *study = NULL;
    char       *text = NULL, *list = NULL;
    int64_t     bytes = 0, length = 0;
    sd_findings found = {0};

    MPI_Init(&argc, &argv);
    SD_REQUIRE(argc == 2, SD_ERR_USAGE, "usage: print_findings STUDY.yaml");
    SD_TRY(sd_file_read(argv[1], &text, &length));
    SD_TRY(sd_study_parse(text, length, argv[1], &study));
    SD_TRY(sd_study_list(study, &list, &bytes));
    SD_TRY(sd_study_fill(study, list, bytes));
    SD_TRY(sd_survey(MPI_COMM_WORLD, study, NULL, &found));
    for (int64_t i = 0; i < found.n; i++)
        printf("%s\t%" PRId64 "\t%s\t%s\t%s\n", found.item[i].run, found.item[i].step,
               found.item[i].kind, found.item[i].path, found.item[i].message);

done:
    if (st != SD_OK) fprintf(stderr, "%s\n", sd_message());
    sd_findings_release(&found);
    sd_study_destroy(&study);
    sd_free(list);
    sd_free(text);
    MPI_Finalize();
    return sd_exit_code(st);
}
