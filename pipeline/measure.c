#include "pipeline/measure.h"

#include <inttypes.h>
#include <limits.h>

#include "pipeline/measurement.h"
#include "pipeline/model.h"
#include "pipeline/token_cache.h"
#include "solvers/base/agree.h"
#include "solvers/base/memory.h"

/* Every rank opens the files by itself; one that is being written must not make them part ways. */
static sd_status same_on_all(const sd_measurement *m)
{
    int64_t   seen[4] = {sd_checkpoint_count(m->checkpoint), sd_checkpoint_bytes(m->checkpoint)};
    sd_status st      = SD_OK;

    for (int i = 0; i < 2; i++) seen[2 + i] = -seen[i];
    MPI_Allreduce(MPI_IN_PLACE, seen, 4, MPI_INT64_T, MPI_MAX, m->job->team);
    SD_REQUIRE(seen[0] == -seen[2] && seen[1] == -seen[3], SD_ERR_INPUT,
               "ranks see different files: is it still being written? Give the command again then");

done:
    return st;
}

static sd_status open_checkpoint(sd_measurement *m)
{
    sd_status st = SD_OK;

    st = sd_checkpoint_open_adapted(m->job->checkpoint->file, m->job->run->base, &m->checkpoint);
    if (st == SD_OK) st = sd_model_open(m->checkpoint, &m->family, &m->model);
    if (st == SD_OK && sd_checkpoint_count(m->checkpoint) > INT_MAX / SD_XXH128_HEX)
        st = sd_fail(SD_ERR_INPUT, __FILE__, __LINE__, "%" PRId64 " tensors are too many",
                     sd_checkpoint_count(m->checkpoint)); /* MPI counts are ints */
    if (st == SD_OK) st = sd_alloc(sd_checkpoint_count(m->checkpoint), SD_XXH128_HEX, &m->digest);
    SD_TRY(sd_agree(m->job->team, st));
    SD_TRY(same_on_all(m));

done:
    return st;
}

static sd_status make_unit(sd_measurement *m)
{
    sd_status       st    = SD_OK;
    const sd_study *study = m->job->study;
    sd_shape        shape = {m->model.n_layers, m->model.d, study->spectrum.count, study->subspace};

    if (study->spectrum.all_values || shape.n_triplets > shape.d) shape.n_triplets = shape.d;
    SD_TRY(sd_unit_create(&shape, &m->unit));
    SD_TRY(sd_copy_string(m->job->run->name, &m->unit->info.run));
    SD_TRY(sd_copy_string(m->job->checkpoint->path, &m->unit->info.path));
    SD_TRY(sd_copy_string(m->family->name, &m->unit->info.family));
    m->unit->info.step       = m->job->checkpoint->step;
    m->unit->info.vocabulary = m->model.vocab;

done:
    return st;
}

static sd_status write_unit(sd_measurement *m, double elapsed_s)
{
    sd_status st = SD_OK;

    SD_TRY(sd_phenomenon_record(m->phenomenon, m->states, m->unit));
    SD_TRY(sd_copy_string(m->fingerprint, &m->unit->info.fingerprint));
    SD_TRY(sd_copy_string(m->key, &m->unit->info.key));
    m->unit->info.elapsed_s = elapsed_s;
    SD_TRY(sd_unit_write(m->unit, m->job->unit_file));

done:
    return st;
}

static void destroy(sd_measurement *m)
{
    sd_loaded_block_destroy(&m->loaded);
    sd_phenomenon_destroy(&m->phenomenon);
    sd_states_destroy(&m->states);
    sd_grid_destroy(&m->grid);
    sd_unit_destroy(&m->unit);
    sd_ids_destroy(&m->ids);
    sd_checkpoint_close(&m->checkpoint);
    sd_free(m->sample);
    sd_free(m->digest);
}

sd_status sd_measure(const sd_measure_job *job, sd_token_cache *cache, sd_measure_outcome *outcome)
{
    sd_status      st = SD_OK;
    sd_measurement m  = {.job = job, .layer = -1};
    bool           current;
    const double   begin = MPI_Wtime();

    MPI_Comm_rank(job->team, &m.rank);
    MPI_Comm_size(job->team, &m.size);
    SD_TRY(open_checkpoint(&m));
    SD_TRY(sd_token_ids(cache, job, m.checkpoint, m.model.bos, &m.ids));
    SD_TRY(sd_agree(job->team, sd_identity_key(&m)));
    SD_TRY(sd_identity_unit_is_current(&m, &current));
    *outcome = current ? SD_KEPT : SD_MEASURED;
    if (current) goto done;
    SD_TRY(sd_agree(job->team, make_unit(&m)));
    SD_TRY(sd_reading_first(&m));
    SD_TRY(sd_reading_second(&m));
    sd_reading_collect(&m);
    SD_TRY(sd_agree(job->team, m.rank == 0 ? write_unit(&m, MPI_Wtime() - begin) : SD_OK));

done:
    destroy(&m);
    return st;
}
