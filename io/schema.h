/**
 * @file schema.h
 * @brief The variables of the result file: name, type, dimensions, units and meaning of each.
 *
 * One row here is one dataset below /runs/NAME in study.h5, and the same without its first
 * dimension (step) in a unit file; rows marked `derived` are made by the merge and stand in
 * study.h5 only; those of a stage that the study must ask for are in a file when it did. Writer,
 * reader, check and docs/results.md follow this table: a new variable is one row here and one in
 * the page, which a test holds to it. How the file is opened and what its groups hold beside the
 * variables is in docs/results.md.
 */
#ifndef SD_IO_SCHEMA_H
#define SD_IO_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

/** Named dimensions; the lengths come from the checkpoint and the study. */
typedef enum {
    SD_DIM_NONE, /* fills up unused places */
    SD_DIM_STEP,
    SD_DIM_LAYER,      /* N: layer l at index l - 1 */
    SD_DIM_STATE,      /* N + 1: state l at index l */
    SD_DIM_HIDDEN,     /* d                         */
    SD_DIM_PHASE,      /* K = 4                     */
    SD_DIM_RANK,       /* k: of singular values     */
    SD_DIM_PART,       /* re, im                    */
    SD_DIM_TOKEN_KIND, /* initial, other            */
    SD_DIM_BRANCH,     /* attention, ffn            */
    SD_DIM_INPUT,      /* Gaussian, real            */
    SD_DIM_VECTOR,     /* d: right singular vectors */
    SD_DIM_SIGN,       /* v and -v                  */
    SD_DIM_COUNT
} sd_dim;

typedef enum { SD_TYPE_F64, SD_TYPE_F32, SD_TYPE_I32 } sd_type;

enum {
    SD_VARIABLE_DIMS = 3, /* beside step               */
    SD_SCHEMA        = 1, /* the file's attribute      */
    SD_PHASES        = 4  /* K: phases per checkpoint  */
};

/* What a file may claim before anything is allocated for it; no known model comes near. */
#define SD_MAX_LAYERS INT64_C(4096)
#define SD_MAX_HIDDEN (INT64_C(1) << 20)
#define SD_MAX_STEPS (INT64_C(1) << 24)

/** What a dimension scale holds. */
typedef struct {
    const char *name, *long_name;
    bool        in_group; /* lies in each group that uses it, the others in the run's         */
    int64_t     first;    /* the scale counts first, first + 1, ...; steps are the run's own */
    const char *const *labels; /* or these names; NULL: numbers                                   */
} sd_dim_info;

extern const sd_dim_info sd_dims[SD_DIM_COUNT];

/* X(id, path, type, dim, dim, dim, derived, units, long_name); derived: made by the merge, in
 * study.h5 only */
#define SD_TRIPLET_VARIABLES(X, ID, group, map)                                                    \
    X(ID##_SIGMA, group "/sigma", F64, LAYER, RANK, NONE, false, "1", "singular values of " map)   \
    X(ID##_RESIDUAL, group "/residual", F64, LAYER, RANK, NONE, false, "1",                        \
      "two-sided residual of the triplets of " map ", relative to sigma_1")                        \
    X(ID##_U, group "/u", F64, LAYER, HIDDEN, NONE, false, "1",                                    \
      "leading left singular vector of " map)                                                      \
    X(ID##_V, group "/v", F64, LAYER, HIDDEN, NONE, false, "1",                                    \
      "leading right singular vector of " map)

#define SD_DECAY_VARIABLES(X, ID, group, map)                                                      \
    X(ID##_EIGENVALUE, group "/eigenvalue", F64, LAYER, PHASE, PART, false, "1",                   \
      "eigenvalue of " map " nearest to the direction")                                            \
    X(ID##_ANGLE, group "/angle", F64, LAYER, PHASE, NONE, false, "degree",                        \
      "angle of that eigenvector to the direction")                                                \
    X(ID##_EIGEN_RESIDUAL, group "/residual", F64, LAYER, PHASE, NONE, false, "1",                 \
      "residual of that eigenpair, relative to the norm of " map)                                  \
    X(ID##_RAYLEIGH, group "/rayleigh", F64, LAYER, PHASE, NONE, false, "1",                       \
      "Rayleigh quotient of " map " at the direction")                                             \
    X(ID##_METHOD, group "/method", I32, LAYER, PHASE, NONE, false, "1",                           \
      "how the eigenpair was found: 1 iterative, 2 full")

#define SD_VARIABLE_TABLE(X)                                                                       \
    X(NORM_INITIAL_MEAN, "norm/initial_mean", F64, STATE, NONE, NONE, false, "1",                  \
      "mean norm of the initial tokens")                                                           \
    X(NORM_OTHER_MEDIAN, "norm/other_median", F64, STATE, NONE, NONE, false, "1",                  \
      "median norm of all other tokens")                                                           \
    X(NORM_OTHER_MAX, "norm/other_max", F64, STATE, NONE, NONE, false, "1",                        \
      "largest norm of all other tokens")                                                          \
    X(PHASE_FIRST, "phase/first", I32, PHASE, NONE, NONE, false, "1", "first state of the phase")  \
    X(PHASE_LAST, "phase/last", I32, PHASE, NONE, NONE, false, "1", "last state of the phase")     \
    X(PHASE_PLATEAU_FIRST, "phase/plateau_first", I32, PHASE, NONE, NONE, false, "1",              \
      "first state of the plateau")                                                                \
    X(PHASE_PLATEAU_LAST, "phase/plateau_last", I32, PHASE, NONE, NONE, false, "1",                \
      "last state of the plateau")                                                                 \
    X(PHASE_RATIO, "phase/ratio", F64, PHASE, NONE, NONE, false, "1",                              \
      "peak of the tokens' median norm relative to the median of the state")                       \
    X(PHASE_TOKENS, "phase/tokens", I32, PHASE, TOKEN_KIND, NONE, false, "1",                      \
      "number of high-norm tokens, initial and other")                                             \
    X(PHASE_DIRECTION, "phase/direction", F64, PHASE, HIDDEN, NONE, false, "1",                    \
      "unit direction of the initial tokens, or of the others where there is none")                \
    X(PHASE_DIRECTION_OTHER, "phase/direction_other", F64, PHASE, HIDDEN, NONE, false, "1",        \
      "unit direction of the other tokens")                                                        \
    X(PHASE_SPREAD, "phase/spread", F64, PHASE, NONE, NONE, false, "degree",                       \
      "mean pairwise acute angle of the tokens behind the direction")                              \
    X(DIRECTION_VECTOR, "direction/vector", F64, HIDDEN, NONE, NONE, true, "1",                    \
      "direction of the dominant phase")                                                           \
    X(DIRECTION_PARTICIPATION, "direction/participation", F64, NONE, NONE, NONE, true, "1",        \
      "participation number of the dominant direction")                                            \
    X(DIRECTION_TOP_CHANNEL, "direction/top_channel", I32, NONE, NONE, NONE, true, "1",            \
      "channel of largest magnitude in the dominant direction")                                    \
    X(DIRECTION_TO_FINAL, "direction/to_final", F64, NONE, NONE, NONE, true, "degree",             \
      "acute angle to the run's last checkpoint")                                                  \
    X(DIRECTION_TO_PREVIOUS, "direction/to_previous", F64, NONE, NONE, NONE, true, "degree",       \
      "acute angle to the previous checkpoint")                                                    \
    X(DIRECTION_TO_PARENT, "direction/to_parent", F64, NONE, NONE, NONE, true, "degree",           \
      "acute angle to the parent's checkpoint")                                                    \
    X(DIRECTION_PER_STATE, "direction/per_state", F32, STATE, HIDDEN, NONE, false, "1",            \
      "unit mean of the initial tokens' unit states")                                              \
    X(ROLE_EXPLOSION, "layer_role/explosion", I32, LAYER, NONE, NONE, false, "1",                  \
      "number of the phase that the layer raises, or 0")                                           \
    X(ROLE_DECAY, "layer_role/decay", I32, LAYER, NONE, NONE, false, "1",                          \
      "number of the phase that the layer takes away, or 0")                                       \
    X(ROLE_WEIGHT_GAP, "layer_role/weight_gap", F64, LAYER, NONE, NONE, false, "1",                \
      "sigma_1 / sigma_2 of F")                                                                    \
    SD_TRIPLET_VARIABLES(X, LAYER, "linear", "L")                                                  \
    SD_TRIPLET_VARIABLES(X, ATTENTION, "attention", "I + A")                                       \
    SD_TRIPLET_VARIABLES(X, FFN, "ffn", "F")                                                       \
    X(LINEAR_SOLVER, "linear/solver", I32, LAYER, NONE, NONE, false, "1",                          \
      "what found the singular values: 1 SLEPc, 2 LAPACK, 3 ScaLAPACK")                            \
    X(LINEAR_ANGLE, "linear/angle", F64, LAYER, PHASE, NONE, false, "degree",                      \
      "acute angle of u(L) to the direction")                                                      \
    X(LINEAR_ANGLE_AXIS, "linear/angle_axis", F64, LAYER, PHASE, NONE, false, "degree",            \
      "the same for the axis of the largest row of the down projection")                           \
    X(LINEAR_ANGLE_DEFLATED, "linear/angle_deflated", F64, LAYER, PHASE, NONE, false, "degree",    \
      "the same for u(L), without the direction's top channel")                                    \
    X(LINEAR_R2, "linear/r2", F64, LAYER, INPUT, NONE, false, "1",                                 \
      "share of the FFN's variance that its linear fit explains")                                  \
    SD_DECAY_VARIABLES(X, DECAY_PAPER, "decay/paper", "R")                                         \
    SD_DECAY_VARIABLES(X, DECAY_SUM, "decay/sum", "A + F")                                         \
    SD_DECAY_VARIABLES(X, DECAY_SCALED, "decay/scaled", "R_s")                                     \
    X(DECAY_TRUE_CHANGE, "decay/true_change", F64, LAYER, PHASE, NONE, false, "1",                 \
      "relative change along the direction on real tokens")                                        \
    X(DECAY_NORM_RATIO, "decay/norm_ratio", F64, LAYER, PHASE, NONE, false, "1",                   \
      "norm after the layer over norm before it, on real tokens")                                  \
    X(DECAY_LEFT_OVER, "decay/left_over", F64, LAYER, PHASE, NONE, false, "1",                     \
      "|(I + R) x| / |x| on real states")                                                          \
    X(DECAY_OPPOSITION, "decay/opposition", F64, LAYER, PHASE, NONE, false, "degree",              \
      "angle between R x and -x on real states")                                                   \
    X(DECAY_SCALE, "decay/scale", F64, LAYER, PHASE, BRANCH, false, "1",                           \
      "what the two norms divide by, on real tokens")                                              \
    X(SUBSPACE_SIGMA, "subspace/sigma", F64, LAYER, VECTOR, NONE, false, "1",                      \
      "all singular values of F, at explosion layers")                                             \
    X(SUBSPACE_RESIDUAL, "subspace/residual", F64, LAYER, VECTOR, NONE, false, "1",                \
      "two-sided residual of those triplets, relative to sigma_1")                                 \
    X(SUBSPACE_RESPONSE, "subspace/response", F64, LAYER, VECTOR, SIGN, false, "1",                \
      "norm of the FFN behind its norm at v and at -v")

typedef enum {
#define X(id, path, type, d1, d2, d3, derived, units, long_name) SD_V_##id,
    SD_VARIABLE_TABLE(X)
#undef X
        SD_V_COUNT
} sd_variable_id;

typedef struct {
    const char *path;
    sd_type     type;
    sd_dim      dim[SD_VARIABLE_DIMS]; /* after step; SD_DIM_NONE fills up */
    bool        derived;
    const char *units, *long_name;
} sd_variable;

extern const sd_variable sd_variables[SD_V_COUNT];

/* Datasets beside the variables.
 * X(id, group, name, type, rank, scale, units, long_name); group "" is the run's; the scale of each
 * dimension lies beside the dataset; a dataset called like its scale is that scale: 0, 1, ... */
#define SD_COLUMN_TABLE(X)                                                                         \
    X(RUN_PATH, "", "path", TEXT, 1, "step", "1", "checkpoint, as the study names it")             \
    X(RUN_FINGERPRINT, "", "fingerprint", TEXT, 1, "step", "1", "hash of the tensors")             \
    X(FAILURE, "failures", "failure", I64, 1, "failure", "1", "number of the failure, from 0")     \
    X(FAILURE_RUN, "failures", "run", TEXT, 1, "failure", "1", "run of the failed checkpoint")     \
    X(FAILURE_STEP, "failures", "step", I64, 1, "failure", "1", "step of the failed checkpoint")   \
    X(FAILURE_PATH, "failures", "path", TEXT, 1, "failure", "1",                                   \
      "checkpoint, as the study names it")                                                         \
    X(FAILURE_MESSAGE, "failures", "message", TEXT, 1, "failure", "1", "what was wrong")           \
    X(FINDING, "findings", "finding", I64, 1, "finding", "1", "number of the finding, from 0")     \
    X(FINDING_RUN, "findings", "run", TEXT, 1, "finding", "1", "run of the checkpoint")            \
    X(FINDING_STEP, "findings", "step", I64, 1, "finding", "1", "step of the checkpoint")          \
    X(FINDING_PATH, "findings", "path", TEXT, 1, "finding", "1",                                   \
      "checkpoint, as the study names it")                                                         \
    X(FINDING_KIND, "findings", "kind", TEXT, 1, "finding", "1", "kind of the finding")            \
    X(FINDING_MESSAGE, "findings", "message", TEXT, 1, "finding", "1", "what was found")           \
    X(MODEL, "signatures", "model", I64, 1, "model", "1", "number of the model, from 0")           \
    X(SIGNATURE_NAME, "signatures", "name", TEXT, 1, "model", "1",                                 \
      "run whose last checkpoint it is")                                                           \
    X(SIGNATURE_DISTANCE, "signatures", "distance", F64, 2, "model", "degree",                     \
      "acute angle of two signatures")                                                             \
    X(SIGNATURE_CHANCE, "signatures", "log10_chance", F64, 2, "model", "1",                        \
      "log10 of the chance of an angle as small between random directions")                        \
    X(UNIT, "provenance", "unit", I64, 1, "unit", "1", "number of the checkpoint, from 0")         \
    X(UNIT_RUN, "provenance", "run", TEXT, 1, "unit", "1", "run of the checkpoint")                \
    X(UNIT_STEP, "provenance", "step", I64, 1, "unit", "1", "step of the checkpoint")              \
    X(UNIT_TIMINGS, "provenance", "timings", F64, 1, "unit", "s", "wall time of the checkpoint")

typedef enum {
#define X(id, group, name, type, rank, scale, units, long_name) SD_C_##id,
    SD_COLUMN_TABLE(X)
#undef X
        SD_C_COUNT
} sd_column_id;

typedef enum { SD_COLUMN_TEXT, SD_COLUMN_I64, SD_COLUMN_F64 } sd_column_type;

typedef struct {
    const char    *group, *name;
    sd_column_type type;
    int            rank;
    const char    *scale, *units, *long_name;
} sd_column;

extern const sd_column sd_columns[SD_C_COUNT];

/** Lengths of the dimensions of one checkpoint. */
typedef struct {
    int64_t n_layers, d, n_triplets;
    bool    subspace; /* whether the study asked for the stage: only then is the group there */
} sd_shape;

/** @brief Length of a dimension other than step; 1 for SD_DIM_NONE and SD_DIM_STEP. */
int64_t sd_dim_length(sd_dim dim, const sd_shape *shape);

/** @brief Number of a variable's dimensions beside step: 0 ... SD_VARIABLE_DIMS. */
int sd_variable_rank(sd_variable_id id);

/** @brief Whether the study asked for the variable's stage; most stages need no asking. */
bool sd_variable_is_asked(sd_variable_id id, const sd_shape *shape);

/** @brief Number of elements of a variable for one checkpoint, 0 when it was not asked for; no
 * overflow for a sane shape. */
int64_t sd_variable_elements(sd_variable_id id, const sd_shape *shape);

/** @brief Bytes of one element. */
int64_t sd_type_size(sd_type type);

/** @brief Whether a shape lies inside the limits above: 1 <= layers, 1 <= d, 0 <= triplets <= d. */
bool sd_shape_is_sane(const sd_shape *shape);

/** @brief The variable of a path below /runs/NAME; SD_V_COUNT when there is none. */
sd_variable_id sd_variable_find(const char *path);

#endif
