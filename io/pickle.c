#include "io/pickle.h"

#include <inttypes.h>
#include <string.h>

#include "io/pickle_instruction.h"
#include "io/text.h"
#include "solvers/base/memory.h"

enum {
    MOST_STACK = 1 << 16, /* Python's own writer never has more than some thousands on it */
    MARK       = SD_PICKLE_PERSISTENT + 1,
    KINDS      = 16,
    SHOWN      = 80 /* bytes of a name in a message */
};

/*
 * A value is number * KINDS + kind. Where the number has two parts, it is a place and a count of
 * at most SD_PICKLE_MOST each.
 */
#define PLACE (INT64_C(1) << 28)
#define MOST_INTEGER (INT64_MAX / KINDS)

struct sd_pickle {
    const char      *bytes;
    sd_pickle_value  root;
    sd_pickle_value *pool; /* parts from the left, entries of dicts from the right */
    int64_t          room, n_parts, first_entry, n_dicts;
};

static sd_pickle_value value_of(int kind, int64_t number)
{
    return (sd_pickle_value){number * KINDS + kind};
}

static int kind_of(sd_pickle_value value)
{
    return (int)(value.bits & (KINDS - 1));
}

/* ---- the machine ---- */

typedef struct {
    sd_pickle_cursor        c;
    sd_pickle              *p;
    const sd_pickle_global *globals;
    int                     n_globals;
    sd_pickle_value        *stack, *memo;
    int64_t                 n_stack, n_memo, memoized;
    int64_t                 at; /* the instruction that is followed */
} machine;

static sd_status broken(const machine *m, const char *what)
{
    return sd_pickle_damaged(&m->c, m->at, what);
}

static sd_status push_value(machine *m, sd_pickle_value value)
{
    sd_status st = SD_OK;

    SD_REQUIRE(m->n_stack < MOST_STACK, SD_ERR_INPUT,
               "%s: at byte %" PRId64 " more than %d values are unfinished, which torch.save does "
               "not write",
               m->c.shown, m->at, MOST_STACK);
    m->stack[m->n_stack++] = value;

done:
    return st;
}

static sd_status push(machine *m, int kind, int64_t number)
{
    return push_value(m, value_of(kind, number));
}

/* The value `below` the top of the stack, or a value of no kind when a mark is before it. */
static sd_pickle_value peek(const machine *m, int64_t below)
{
    for (int64_t k = 0; k <= below; k++)
        if (k >= m->n_stack || kind_of(m->stack[m->n_stack - 1 - k]) == MARK)
            return value_of(SD_PICKLE_NOTHING, 0);
    return m->stack[m->n_stack - 1 - below];
}

static sd_status need(const machine *m, int64_t count)
{
    if (count > 0 && kind_of(peek(m, count - 1)) == SD_PICKLE_NOTHING)
        return broken(m, "a value is missing");
    return SD_OK;
}

/* Values above the topmost mark. */
static sd_status count_above_mark(const machine *m, int64_t *count)
{
    for (*count = 0; *count < m->n_stack; ++*count)
        if (kind_of(m->stack[m->n_stack - 1 - *count]) == MARK) return SD_OK;
    return broken(m, "a mark is missing");
}

/*
 * Keeps copies of the topmost `count` values and takes them off. Each one was put on the stack by
 * an instruction of its own, so that the pool has room for all that are ever kept.
 */
static sd_status keep(machine *m, int64_t count, int64_t *first)
{
    sd_status st = SD_OK;

    SD_TRY(need(m, count));
    SD_REQUIRE(count <= m->p->first_entry - m->p->n_parts, SD_ERR_INTERNAL,
               "%" PRId64 " values for which there is no room", count);
    *first = m->p->n_parts;
    for (int64_t k = 0; k < count; k++)
        m->p->pool[m->p->n_parts++] = m->stack[m->n_stack - count + k];
    m->n_stack -= count;

done:
    return st;
}

static sd_status push_kept(machine *m, int kind, int64_t count)
{
    sd_status st    = SD_OK;
    int64_t   first = 0;

    SD_TRY(keep(m, count, &first));
    SD_TRY(push(m, kind, first * PLACE + count));

done:
    return st;
}

static sd_status push_marked_tuple(machine *m)
{
    sd_status st    = SD_OK;
    int64_t   first = 0, count;

    SD_TRY(count_above_mark(m, &count));
    SD_TRY(keep(m, count, &first));
    m->n_stack--;
    SD_TRY(push(m, SD_PICKLE_TUPLE, first * PLACE + count));

done:
    return st;
}

/* Takes the values above the mark, and the mark, off the stack. */
static sd_status drop_marked(machine *m)
{
    sd_status st = SD_OK;
    int64_t   count;

    SD_TRY(count_above_mark(m, &count));
    m->n_stack -= count + 1;

done:
    return st;
}

static sd_status replace_marked(machine *m, int kind)
{
    sd_status st = SD_OK;

    SD_TRY(drop_marked(m));
    SD_TRY(push(m, kind, 0));

done:
    return st;
}

/* ---- dicts ---- */

/*
 * Sets `pairs` keys and values, the topmost of the stack, in a dict. The pool gets a header, the
 * dict's number and the count, and what is worth keeping of the pairs before it: at most the values
 * that come off the stack, and one for the instruction itself.
 */
static sd_status set_pairs(machine *m, sd_pickle_value dict, int64_t pairs)
{
    sd_status        st   = SD_OK;
    sd_pickle       *p    = m->p;
    sd_pickle_value *item = m->stack + m->n_stack - 2 * pairs;
    int64_t          kept = 0;

    if (kind_of(dict) != SD_PICKLE_DICT) return broken(m, "what gets entries is no dict");
    SD_REQUIRE(p->first_entry - p->n_parts > 2 * pairs, SD_ERR_INTERNAL,
               "%" PRId64 " entries for which there is no room", pairs);
    const int64_t header = --p->first_entry;
    for (int64_t k = 0; k < pairs; k++) {
        const int value = kind_of(item[2 * k + 1]);

        if (kind_of(item[2 * k]) != SD_PICKLE_TEXT ||
            (value != SD_PICKLE_DICT && value != SD_PICKLE_CALL))
            continue;
        p->pool[--p->first_entry] = item[2 * k];
        p->pool[--p->first_entry] = item[2 * k + 1];
        kept++;
    }
    p->pool[header] = value_of(SD_PICKLE_DICT, sd_pickle_integer(dict) * PLACE + kept);

done:
    return st;
}

static sd_status set_one(machine *m)
{
    sd_status st = SD_OK;

    SD_TRY(need(m, 3));
    SD_TRY(set_pairs(m, peek(m, 2), 1));
    m->n_stack -= 2;

done:
    return st;
}

static sd_status set_marked(machine *m)
{
    sd_status st = SD_OK;
    int64_t   count;

    SD_TRY(count_above_mark(m, &count));
    if (count % 2 != 0) return broken(m, "a key has no value");
    if (m->n_stack < count + 2) return broken(m, "a value is missing");
    SD_TRY(set_pairs(m, m->stack[m->n_stack - count - 2], count / 2));
    SD_TRY(drop_marked(m));

done:
    return st;
}

static sd_status push_dict(machine *m)
{
    return push(m, SD_PICKLE_DICT, m->p->n_dicts++);
}

/* A dict of the pairs above the mark, which it takes the place of. */
static sd_status push_marked_dict(machine *m)
{
    sd_status st = SD_OK;
    int64_t   count;

    SD_TRY(count_above_mark(m, &count));
    if (count % 2 != 0) return broken(m, "a key has no value");
    SD_TRY(set_pairs(m, value_of(SD_PICKLE_DICT, m->p->n_dicts), count / 2));
    SD_TRY(drop_marked(m));
    SD_TRY(push_dict(m));

done:
    return st;
}

/* ---- names and calls ---- */

enum { ORDERED_DICT = -1, UNKNOWN = -2 };

static int find_global(const machine *m, const char *name)
{
    if (strcmp(name, "collections.OrderedDict") == 0) return ORDERED_DICT;
    for (int k = 0; k < m->n_globals; k++)
        if (strcmp(name, m->globals[k].name) == 0) return k;
    return UNKNOWN;
}

static const char *global_name(const machine *m, sd_pickle_value value)
{
    const int64_t k = sd_pickle_integer(value);

    return k == ORDERED_DICT ? "collections.OrderedDict" : m->globals[k].name;
}

static sd_status refuse(const machine *m, const char *does, const char *name)
{
    return sd_fail(SD_ERR_INPUT, __FILE__, __LINE__,
                   "%s: %s '%s', which weights have no use for and which could run code when torch "
                   "loads it; nothing of it was run. Save the tensors alone (model.state_dict())",
                   m->c.shown, does, name);
}

/* Pushes what is called "module.name", of these two texts. */
static sd_status push_global(machine *m, const char *module, int64_t module_length,
                             const char *name, int64_t name_length)
{
    char whole[2 * SHOWN + 2] = "";
    int  k;

    if (module_length > SHOWN || name_length > SHOWN ||
        sd_utf8_valid(module, module_length) != module_length ||
        sd_utf8_valid(name, name_length) != name_length)
        return broken(m, "a name is no text, or too long");
    memcpy(whole, module, (size_t)module_length);
    whole[module_length] = '.';
    memcpy(whole + module_length + 1, name, (size_t)name_length);
    k = find_global(m, whole);
    if (k == UNKNOWN) return refuse(m, "refers to", whole);
    return push(m, SD_PICKLE_GLOBAL, k);
}

static sd_status push_global_of_lines(machine *m, const sd_pickle_instruction *i)
{
    const char *module = m->p->bytes + i->text;
    const char *end    = memchr(module, '\n', (size_t)i->length);
    const char *name   = end + 1;

    return push_global(m, module, end - module, name, i->length - (name - module) - 1);
}

static sd_status push_global_of_stack(machine *m)
{
    const sd_pickle_value module = peek(m, 1), name = peek(m, 0);
    int64_t               module_length, name_length;

    if (kind_of(module) != SD_PICKLE_TEXT || kind_of(name) != SD_PICKLE_TEXT)
        return broken(m, "a name is no text");
    const char *first  = sd_pickle_text(m->p, module, &module_length);
    const char *second = sd_pickle_text(m->p, name, &name_length);
    m->n_stack -= 2;
    return push_global(m, first, module_length, second, name_length);
}

static sd_status note_call(machine *m)
{
    const sd_pickle_value function = peek(m, 1), arguments = peek(m, 0);
    int64_t               count;

    if (kind_of(arguments) != SD_PICKLE_TUPLE || kind_of(function) != SD_PICKLE_GLOBAL)
        return broken(m, "what is called is no function, or gets no arguments");
    if (sd_pickle_integer(function) == ORDERED_DICT) {
        sd_pickle_parts(m->p, arguments, &count);
        if (count > 0) return broken(m, "an OrderedDict is made of something");
        m->n_stack -= 2;
        return push_dict(m);
    }
    if (!m->globals[sd_pickle_integer(function)].is_function)
        return refuse(m, "calls", global_name(m, function));
    return push_kept(m, SD_PICKLE_CALL, 2);
}

/* A state is given to dicts only (`_metadata` of a state dict), where it changes nothing of ours.
 */
static sd_status drop_state(machine *m)
{
    sd_status             st     = SD_OK;
    const sd_pickle_value target = peek(m, 1);

    SD_TRY(need(m, 2));
    if (kind_of(target) == SD_PICKLE_CALL) {
        int64_t count;

        return refuse(m, "sets the state of",
                      global_name(m, sd_pickle_parts(m->p, target, &count)[0]));
    }
    if (kind_of(target) != SD_PICKLE_DICT) return broken(m, "what gets a state is no dict");
    m->n_stack--;

done:
    return st;
}

/* Instructions that make an object by its class: none is among what weights are made of. */
static sd_status refuse_object(machine *m, const sd_pickle_instruction *i)
{
    sd_status st          = SD_OK;
    sd_pickle_value class = peek(m, i->code == SD_PICKLE_OP_NEWOBJ_EX ? 2 : 1);
    int64_t count;

    if (i->code == 'i') {
        SD_TRY(push_global_of_lines(m, i));
        class = peek(m, 0);
    } else if (i->code == 'o') {
        SD_TRY(count_above_mark(m, &count));
        class = count > 0 ? peek(m, count - 1) : value_of(SD_PICKLE_NOTHING, 0);
    }
    if (kind_of(class) != SD_PICKLE_GLOBAL) return broken(m, "a class is missing");
    return refuse(m, "makes an object of", global_name(m, class));

done:
    return st;
}

/* ---- plain values ---- */

/* The bits of a signed number of `size` bytes, 1 to 8. */
static int64_t signed_of(uint64_t bits, int size)
{
    const uint64_t sign = UINT64_C(1) << (8 * size - 1);
    const uint64_t rest = bits & (sign - 1);

    return (bits & sign) == 0 ? (int64_t)rest : (int64_t)rest - (int64_t)(sign - 1) - 1;
}

/* A whole number beyond what a size can be is kept as data of no interest. */
static sd_status push_integer(machine *m, int64_t number)
{
    if (number > MOST_INTEGER || number < -MOST_INTEGER) return push(m, SD_PICKLE_OTHER, 0);
    return push(m, SD_PICKLE_INTEGER, number);
}

static sd_status push_long(machine *m, const sd_pickle_instruction *i)
{
    uint64_t bits = 0;

    if (i->length > 8) return push(m, SD_PICKLE_OTHER, 0);
    if (i->length == 0) return push_integer(m, 0);
    for (int64_t k = i->length - 1; k >= 0; k--) bits = bits << 8 | m->c.bytes[i->text + k];
    return push_integer(m, signed_of(bits, (int)i->length));
}

static sd_status push_text(machine *m, const sd_pickle_instruction *i)
{
    if (sd_utf8_valid(m->p->bytes + i->text, i->length) != i->length)
        return broken(m, "a text is not UTF-8");
    return push(m, SD_PICKLE_TEXT, i->text * PLACE + i->length);
}

/* ---- memo ---- */

static sd_status put(machine *m, uint64_t place)
{
    const sd_pickle_value top = peek(m, 0);

    if (kind_of(top) == SD_PICKLE_NOTHING) return broken(m, "a value is missing");
    /* Writers number from 0 without a gap: a number is below the count of its kind. */
    if (place >= (uint64_t)m->n_memo) return broken(m, "a value is remembered in no place");
    m->memoized += kind_of(m->memo[place]) == SD_PICKLE_NOTHING;
    m->memo[place] = top;
    return SD_OK;
}

static sd_status get(machine *m, uint64_t place)
{
    if (place >= (uint64_t)m->n_memo || kind_of(m->memo[place]) == SD_PICKLE_NOTHING)
        return broken(m, "a value is recalled that was not remembered");
    return push_value(m, m->memo[place]);
}

/* ---- following instructions ---- */

static sd_status drop(machine *m, int64_t count, int64_t under)
{
    sd_status st = SD_OK;

    SD_TRY(need(m, count + under));
    m->n_stack -= count;

done:
    return st;
}

static sd_status check_protocol(const machine *m, uint64_t version)
{
    sd_status st = SD_OK;

    SD_REQUIRE(version >= 2 && version <= 5, SD_ERR_INPUT,
               "%s: is of pickle protocol %" PRIu64 ", want 2 to 5", m->c.shown, version);

done:
    return st;
}

static sd_status finish(machine *m)
{
    m->p->root = peek(m, 0);
    if (m->n_stack != 1 || kind_of(m->p->root) == SD_PICKLE_NOTHING)
        return broken(m, "it ends with other than one value");
    return SD_OK;
}

static sd_status follow(machine *m, const sd_pickle_instruction *i)
{
    switch (i->code) {
    case SD_PICKLE_OP_PROTO: return check_protocol(m, i->number);
    case SD_PICKLE_OP_FRAME: return SD_OK;
    case '.': return finish(m);
    case '0': return drop(m, 1, 0);
    case '1': return drop_marked(m);
    case '(': return push(m, MARK, 0);
    case 'N':
    case SD_PICKLE_OP_NEWTRUE:
    case SD_PICKLE_OP_NEWFALSE:
    case 'G':
    case 'B':
    case 'C':
    case SD_PICKLE_OP_BINBYTES8:
    case SD_PICKLE_OP_BYTEARRAY8:
    case ']':
    case SD_PICKLE_OP_EMPTY_SET: return push(m, SD_PICKLE_OTHER, 0);
    case 'l':
    case SD_PICKLE_OP_FROZENSET: return replace_marked(m, SD_PICKLE_OTHER);
    case 'a': return drop(m, 1, 1);
    case 'e':
    case SD_PICKLE_OP_ADDITEMS: return drop_marked(m);
    case 'J': return push_integer(m, signed_of(i->number, 4));
    case 'K':
    case 'M': return push_integer(m, (int64_t)i->number);
    case SD_PICKLE_OP_LONG1:
    case SD_PICKLE_OP_LONG4: return push_long(m, i);
    case 'X':
    case SD_PICKLE_OP_SHORT_BINUNICODE:
    case SD_PICKLE_OP_BINUNICODE8: return push_text(m, i);
    case ')': return push_kept(m, SD_PICKLE_TUPLE, 0);
    case SD_PICKLE_OP_TUPLE1: return push_kept(m, SD_PICKLE_TUPLE, 1);
    case SD_PICKLE_OP_TUPLE2: return push_kept(m, SD_PICKLE_TUPLE, 2);
    case SD_PICKLE_OP_TUPLE3: return push_kept(m, SD_PICKLE_TUPLE, 3);
    case 't': return push_marked_tuple(m);
    case '}': return push_dict(m);
    case 'd': return push_marked_dict(m);
    case 's': return set_one(m);
    case 'u': return set_marked(m);
    case 'q':
    case 'r': return put(m, i->number);
    case SD_PICKLE_OP_MEMOIZE: return put(m, (uint64_t)m->memoized);
    case 'h':
    case 'j': return get(m, i->number);
    case 'c': return push_global_of_lines(m, i);
    case SD_PICKLE_OP_STACK_GLOBAL: return push_global_of_stack(m);
    case 'R': return note_call(m);
    case 'Q': return push_kept(m, SD_PICKLE_PERSISTENT, 1);
    case 'b': return drop_state(m);
    default: return refuse_object(m, i);
    }
}

static sd_status follow_all(machine *m)
{
    sd_status             st = SD_OK;
    sd_pickle_instruction i;

    do {
        SD_TRY(sd_pickle_take(&m->c, &i));
        m->at = i.at;
        SD_TRY(follow(m, &i));
    } while (i.code != '.');

done:
    return st;
}

sd_status sd_pickle_read(const char *bytes, int64_t length, const char *shown,
                         const sd_pickle_global *globals, int n_globals, sd_pickle **out)
{
    sd_status st = SD_OK;
    machine   m  = {.c         = {(const unsigned char *)bytes, length, 0, shown},
                    .globals   = globals,
                    .n_globals = n_globals};
    int64_t   others;

    *out = NULL;
    SD_REQUIRE(length <= SD_PICKLE_MOST, SD_ERR_INPUT,
               "%s: is %" PRId64
               " bytes long, want at most %d: it is damaged, or no list of weights",
               shown, length, SD_PICKLE_MOST);
    SD_TRY(sd_pickle_count(&m.c, &m.n_memo, &others));
    SD_TRY(sd_alloc(1, sizeof *m.p, &m.p));
    m.p->bytes = bytes;
    m.p->room = m.p->first_entry = others;
    SD_TRY(sd_alloc(others, sizeof *m.p->pool, &m.p->pool));
    SD_TRY(sd_alloc(m.n_memo, sizeof *m.memo, &m.memo));
    SD_TRY(sd_alloc(MOST_STACK, sizeof *m.stack, &m.stack));
    SD_TRY(follow_all(&m));
    *out = m.p;
    m.p  = NULL;

done:
    sd_pickle_destroy(&m.p);
    sd_free(m.memo);
    sd_free(m.stack);
    return st;
}

void sd_pickle_destroy(sd_pickle **pickle)
{
    if (*pickle == NULL) return;
    sd_free((*pickle)->pool);
    sd_free(*pickle);
    *pickle = NULL;
}

/* ---- what was read ---- */

sd_pickle_value sd_pickle_root(const sd_pickle *pickle)
{
    return pickle->root;
}

sd_pickle_kind sd_pickle_kind_of(sd_pickle_value value)
{
    return (sd_pickle_kind)kind_of(value);
}

int64_t sd_pickle_integer(sd_pickle_value value)
{
    return (value.bits - kind_of(value)) / KINDS;
}

const char *sd_pickle_text(const sd_pickle *pickle, sd_pickle_value value, int64_t *length)
{
    const int64_t number = sd_pickle_integer(value);

    *length = number % PLACE;
    return pickle->bytes + number / PLACE;
}

bool sd_pickle_is_text(const sd_pickle *pickle, sd_pickle_value value, const char *want)
{
    int64_t length;

    if (kind_of(value) != SD_PICKLE_TEXT) return false;
    const char *text = sd_pickle_text(pickle, value, &length);
    return length == (int64_t)strlen(want) && memcmp(text, want, (size_t)length) == 0;
}

const sd_pickle_value *sd_pickle_parts(const sd_pickle *pickle, sd_pickle_value value,
                                       int64_t *count)
{
    const int64_t number = sd_pickle_integer(value);

    *count = number % PLACE;
    return pickle->pool + number / PLACE;
}

bool sd_pickle_next(const sd_pickle *pickle, sd_pickle_walk *walk, sd_pickle_entry *out)
{
    const sd_pickle_value *end = pickle->pool + pickle->room;

    while (walk->left == 0) {
        if (walk->passed == pickle->room - pickle->first_entry) return false;
        const int64_t header = sd_pickle_integer(end[-++walk->passed]);

        walk->dict = value_of(SD_PICKLE_DICT, header / PLACE);
        walk->left = header % PLACE;
    }
    out->dict  = walk->dict;
    out->key   = end[-++walk->passed];
    out->value = end[-++walk->passed];
    walk->left--;
    return true;
}

bool sd_pickle_same(sd_pickle_value a, sd_pickle_value b)
{
    return a.bits == b.bits;
}
