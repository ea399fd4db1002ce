#include "io/torch_view.h"

#include <inttypes.h>
#include <string.h>

/* ---- the names that such a pickle may use ---- */

/*
 * X(storage, dtype, name as safetensors has it, bytes, sd_dtype as read or -1: no format of
 * weights, what an 8-bit float is as a float or NULL: read as stored)
 */
#define TYPES(X)                                                                                   \
    X("FloatStorage", "float32", "F32", 4, SD_F32, NULL)                                           \
    X("HalfStorage", "float16", "F16", 2, SD_F16, NULL)                                            \
    X("BFloat16Storage", "bfloat16", "BF16", 2, SD_BF16, NULL)                                     \
    X("DoubleStorage", "float64", "F64", 8, SD_F64, NULL)                                          \
    X("LongStorage", "int64", "I64", 8, -1, NULL)                                                  \
    X("IntStorage", "int32", "I32", 4, -1, NULL)                                                   \
    X("ShortStorage", "int16", "I16", 2, -1, NULL)                                                 \
    X("CharStorage", "int8", "I8", 1, -1, NULL)                                                    \
    X("ByteStorage", "uint8", "U8", 1, -1, NULL)                                                   \
    X("BoolStorage", "bool", "BOOL", 1, -1, NULL)                                                  \
    X("ComplexFloatStorage", "complex64", "C64", 8, -1, NULL)                                      \
    X("ComplexDoubleStorage", "complex128", "C128", 16, -1, NULL)                                  \
    X("?", "uint16", "U16", 2, -1, NULL)                                                           \
    X("?", "uint32", "U32", 4, -1, NULL)                                                           \
    X("?", "uint64", "U64", 8, -1, NULL)                                                           \
    X("?", "float8_e4m3fn", "F8_E4M3", 1, SD_F32, sd_f8_e4m3_value)                                \
    X("?", "float8_e5m2", "F8_E5M2", 1, SD_F32, sd_f8_e5m2_value)                                  \
    X("?", "float8_e8m0fnu", "F8_E8M0", 1, -1, NULL)                                               \
    X("?", "float8_e4m3fnuz", "F8_E4M3FNUZ", 1, -1, NULL)                                          \
    X("?", "float8_e5m2fnuz", "F8_E5M2FNUZ", 1, -1, NULL)

typedef struct {
    const char       *name;
    int64_t           size;
    int               type;
    sd_torch_widening widen;
} element;

static const element elements[] = {
#define X(storage, dtype, name, size, type, widen) {name, size, type, widen},
    TYPES(X)
#undef X
};

enum {
    TENSOR,      /* (storage, offset, size, stride)                                     */
    TENSOR_V2,   /* the same and what training needs                                    */
    TENSOR_V3,   /* the same; the seventh is the dtype, where a storage has none        */
    PARAMETER,   /* (tensor, ...)                                                       */
    PARAMETER_2, /* the same with attributes                                            */
    SIZE,
    DEVICE,
    BYTES, /* bytes, before protocol 3 */
    SET,   /* a set, before protocol 4 */
    UNTYPED,
    FIRST_TYPE /* of each row of TYPES its storage and its dtype */
};

static const sd_pickle_global globals[] = {
    [TENSOR]      = {"torch._utils._rebuild_tensor", true},
    [TENSOR_V2]   = {"torch._utils._rebuild_tensor_v2", true},
    [TENSOR_V3]   = {"torch._utils._rebuild_tensor_v3", true},
    [PARAMETER]   = {"torch._utils._rebuild_parameter", true},
    [PARAMETER_2] = {"torch._utils._rebuild_parameter_with_state", true},
    [SIZE]        = {"torch.Size", true},
    [DEVICE]      = {"torch.device", true},
    [BYTES]       = {"_codecs.encode", true},
    [SET]         = {"__builtin__.set", true},
    [UNTYPED]     = {"torch.storage.UntypedStorage", false},
#define X(storage, dtype, name, size, type, widen)                                                 \
    {"torch." storage, false}, {"torch." dtype, false},
    TYPES(X)
#undef X
};
enum { N_GLOBALS = sizeof globals / sizeof globals[0] };

static const element *storage_type(sd_pickle_value value)
{
    const int64_t k = sd_pickle_integer(value) - FIRST_TYPE;

    return sd_pickle_kind_of(value) == SD_PICKLE_GLOBAL && k >= 0 && k % 2 == 0 ? &elements[k / 2]
                                                                                : NULL;
}

static const element *dtype(sd_pickle_value value)
{
    const int64_t k = sd_pickle_integer(value) - FIRST_TYPE;

    return sd_pickle_kind_of(value) == SD_PICKLE_GLOBAL && k >= 0 && k % 2 == 1 ? &elements[k / 2]
                                                                                : NULL;
}

sd_status sd_torch_pickle_read(const char *bytes, int64_t length, const char *shown,
                               sd_pickle **out)
{
    return sd_pickle_read(bytes, length, shown, globals, N_GLOBALS, out);
}

/* ---- one tensor ---- */

/* What is read, and how messages name it. */
typedef struct {
    const sd_pickle *pickle;
    const char      *shown, *name;
} source;

static sd_status broken(const source *s, const char *what)
{
    return sd_fail(SD_ERR_INPUT, __FILE__, __LINE__, "%s: tensor '%s' %s: the file is damaged",
                   s->shown, s->name, what);
}

/* Reads what is known of the storage; `type` is NULL where it has none of its own. */
static sd_status read_storage(const source *s, sd_pickle_value value, sd_torch_view *v,
                              const element **type)
{
    int64_t                count;
    const sd_pickle_value *part;

    if (sd_pickle_kind_of(value) != SD_PICKLE_PERSISTENT) return broken(s, "has no storage");
    part = sd_pickle_parts(s->pickle, value, &count);
    if (sd_pickle_kind_of(part[0]) != SD_PICKLE_TUPLE) return broken(s, "has no storage");
    part = sd_pickle_parts(s->pickle, part[0], &count);
    if (count < 5 || !sd_pickle_is_text(s->pickle, part[0], "storage") ||
        sd_pickle_kind_of(part[1]) != SD_PICKLE_GLOBAL ||
        sd_pickle_kind_of(part[2]) != SD_PICKLE_TEXT ||
        sd_pickle_kind_of(part[4]) != SD_PICKLE_INTEGER || sd_pickle_integer(part[4]) < 0)
        return broken(s, "has a storage without type, name or size");
    *type = storage_type(part[1]);
    if (*type == NULL && sd_pickle_integer(part[1]) != UNTYPED)
        return broken(s, "has a storage without a type");
    v->key = sd_pickle_text(s->pickle, part[2], &v->key_length);
    /* No number of a pickle is above INT64_MAX / 16, and no element has more than 16 bytes. */
    v->storage_bytes = sd_pickle_integer(part[4]) * (*type != NULL ? (*type)->size : 1);
    return SD_OK;
}

/* The tuple of a size: a plain one, or as torch.Size. */
static bool find_numbers(const source *s, sd_pickle_value value, const sd_pickle_value **part,
                         int64_t *count)
{
    if (sd_pickle_kind_of(value) != SD_PICKLE_TUPLE) return false;
    *part = sd_pickle_parts(s->pickle, value, count);
    for (int64_t k = 0; k < *count; k++)
        if (sd_pickle_kind_of((*part)[k]) != SD_PICKLE_INTEGER || sd_pickle_integer((*part)[k]) < 0)
            return false;
    return true;
}

static sd_status read_shape(const source *s, const sd_torch_view *v, sd_pickle_value sizes,
                            sd_tensor_info *info)
{
    sd_status              st = SD_OK;
    const sd_pickle_value *part;
    int64_t                count;

    if (!find_numbers(s, sizes, &part, &count)) return broken(s, "has a size of no numbers");
    SD_REQUIRE(count <= SD_MAX_DIMS, SD_ERR_INPUT,
               "%s: tensor '%s' has %" PRId64 " dimensions, want at most %d", s->shown, s->name,
               count, SD_MAX_DIMS);
    info->n_dims   = (int)count;
    info->elements = 1;
    for (int k = 0; k < info->n_dims; k++) {
        const int64_t extent = sd_pickle_integer(part[k]);

        SD_REQUIRE(extent == 0 || info->elements <= INT64_MAX / v->width / extent, SD_ERR_INPUT,
                   "%s: tensor '%s' is larger than any file: its shape is damaged", s->shown,
                   s->name);
        info->shape[k] = extent;
        info->elements *= extent;
    }
    info->bytes  = info->elements * v->width;
    info->stored = info->elements * v->size;

done:
    return st;
}

/* Places the view in its storage. A view without elements lies anywhere. */
static sd_status read_strides(const source *s, const sd_tensor_info *info, sd_pickle_value offset,
                              sd_pickle_value strides, sd_torch_view *v)
{
    sd_status              st = SD_OK;
    const sd_pickle_value *part;
    const int64_t          count = v->storage_bytes / v->size;
    int64_t n, dense = 1, left = count - 1; /* elements that may still be passed over */

    if (sd_pickle_kind_of(offset) != SD_PICKLE_INTEGER || sd_pickle_integer(offset) < 0 ||
        !find_numbers(s, strides, &part, &n) || n != info->n_dims)
        return broken(s, "has strides that do not fit its size");
    v->is_plain = v->widen == NULL;
    if (info->elements == 0) return SD_OK;
    left -= sd_pickle_integer(offset);
    for (int k = info->n_dims - 1; k >= 0 && left >= 0; k--) {
        const int64_t more = info->shape[k] - 1, stride = sd_pickle_integer(part[k]);

        if (more == 0) continue;
        left         = stride <= left / more ? left - more * stride : -1;
        v->stride[k] = left >= 0 ? stride * v->size : 0;
        if (stride != dense) v->is_plain = false;
        dense *= info->shape[k];
    }
    SD_REQUIRE(left >= 0, SD_ERR_INPUT,
               "%s: tensor '%s' reaches beyond its storage of %" PRId64
               " elements: the file is damaged",
               s->shown, s->name, count);
    v->begin = sd_pickle_integer(offset) * v->size;

done:
    return st;
}

bool sd_torch_is_tensor(const sd_pickle *pickle, sd_pickle_value value)
{
    int64_t count;

    return sd_pickle_kind_of(value) == SD_PICKLE_CALL &&
           sd_pickle_integer(sd_pickle_parts(pickle, value, &count)[0]) <= PARAMETER_2;
}

/* Finds what makes the tensor, inside of a parameter or not, and its arguments. */
static sd_status read_call(const source *s, sd_pickle_value value, int64_t *function,
                           const sd_pickle_value **argument, int64_t *count)
{
    for (int depth = 0; depth < 2; depth++) {
        if (!sd_torch_is_tensor(s->pickle, value)) return broken(s, "is made of no tensor");
        const sd_pickle_value *part = sd_pickle_parts(s->pickle, value, count);

        *function = sd_pickle_integer(part[0]);
        *argument = sd_pickle_parts(s->pickle, part[1], count);
        if (*function < PARAMETER) return SD_OK;
        if (*count < 1) return broken(s, "is made of nothing");
        value = (*argument)[0];
    }
    return broken(s, "is a parameter of a parameter");
}

sd_status sd_torch_view_read(const sd_pickle *pickle, sd_pickle_value value, const char *shown,
                             const char *name, sd_tensor_info *info, sd_torch_view *view)
{
    sd_status              st       = SD_OK;
    const source           s        = {pickle, shown, name};
    int64_t                function = 0, count = 0;
    const sd_pickle_value *argument = NULL;
    const element         *type     = NULL;

    SD_TRY(read_call(&s, value, &function, &argument, &count));
    if (count < (function == TENSOR_V3 ? 7 : 4)) return broken(&s, "is made of too little");
    SD_TRY(read_storage(&s, argument[0], view, &type));
    if (function == TENSOR_V3) type = dtype(argument[6]);
    if (type == NULL) return broken(&s, "has no type");
    info->name   = name;
    info->format = type->name;
    info->type   = type->type;
    view->size   = type->size;
    view->widen  = type->widen;
    view->width  = type->widen != NULL ? (int64_t)sizeof(float) : type->size;
    SD_TRY(read_shape(&s, view, argument[2], info));
    SD_TRY(read_strides(&s, info, argument[1], argument[3], view));

done:
    return st;
}

void sd_torch_view_copy(const sd_tensor_info *info, const sd_torch_view *view, const char *storage,
                        int64_t offset, int64_t count, char *out)
{
    int64_t index[SD_MAX_DIMS];
    int64_t at = view->begin, rest = offset / view->width, skip = offset % view->width;

    for (int k = info->n_dims - 1; k >= 0; k--) {
        index[k] = rest % info->shape[k];
        rest /= info->shape[k];
        at += index[k] * view->stride[k];
    }
    while (count > 0) {
        const int64_t n    = view->width - skip < count ? view->width - skip : count;
        const char   *from = storage + at;
        float         wide;

        if (view->widen != NULL) {
            wide = view->widen((uint8_t)*from);
            from = (const char *)&wide;
        }
        memcpy(out, from + skip, (size_t)n);
        out += n;
        count -= n;
        skip = 0;
        for (int k = info->n_dims - 1; k >= 0; k--) {
            at += view->stride[k];
            if (++index[k] < info->shape[k]) break;
            at -= view->stride[k] * info->shape[k];
            index[k] = 0;
        }
    }
}
