#include "io/yaml.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "solvers/base/memory.h"

enum { MOST_DEPTH = 16, MOST_NODES = 1000000 };

struct sd_yaml_document {
    sd_yaml root;
};

/* A list or map whose end has not come yet. */
typedef struct {
    sd_yaml node;
    int64_t first;    /* of its children among the pending nodes */
    char   *key;      /* of the map's next child, or NULL */
    int64_t key_line; /* where that key is */
} level;

typedef struct {
    yaml_parser_t parser;
    const char   *shown, *text;
    int64_t       length;
    level         open[MOST_DEPTH];
    int           depth;
    sd_yaml      *pending; /* finished nodes that wait for their parent's end */
    int64_t       n_pending, capacity, n_nodes;
    bool          has_root;
    sd_yaml       root;
} builder;

static void release(sd_yaml *node)
{
    for (int64_t i = 0; i < node->count; i++) release((sd_yaml *)&node->child[i]);
    sd_free((void *)node->child);
    sd_free((void *)node->key);
    sd_free((void *)node->scalar);
    *node = (sd_yaml){0};
}

static int64_t line_of(const yaml_event_t *event)
{
    return (int64_t)event->start_mark.line + 1;
}

/* ---- one node after the other ---- */

/* Makes room for one more pending node. */
static sd_status reserve(builder *b)
{
    sd_status st     = SD_OK;
    sd_yaml  *larger = NULL;

    if (b->n_pending < b->capacity) return SD_OK;
    const int64_t capacity = b->capacity > 0 ? 2 * b->capacity : 64;
    SD_TRY(sd_alloc(capacity, sizeof *larger, &larger));
    if (b->n_pending > 0) memcpy(larger, b->pending, (size_t)b->n_pending * sizeof *larger);
    sd_free(b->pending);
    b->pending  = larger;
    b->capacity = capacity;

done:
    return st;
}

/* Hands a finished node to its parent; the node is given, also on failure. */
static sd_status finish(builder *b, sd_yaml *node)
{
    sd_status st = SD_OK;

    if (b->depth == 0) {
        b->root     = *node;
        b->has_root = true;
    } else {
        level *parent = &b->open[b->depth - 1];

        SD_TRY(reserve(b));
        if (parent->key != NULL) node->line = parent->key_line;
        node->key                  = parent->key;
        parent->key                = NULL;
        b->pending[b->n_pending++] = *node;
    }
    *node = (sd_yaml){0};

done:
    release(node);
    return st;
}

static bool is_null(const char *text)
{
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
           strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
}

static bool is_map(const builder *b)
{
    return b->depth > 0 && b->open[b->depth - 1].node.kind == SD_YAML_MAP;
}

static bool wants_key(const builder *b)
{
    return is_map(b) && b->open[b->depth - 1].key == NULL;
}

static sd_status check_node(builder *b, const yaml_event_t *event, const void *anchor,
                            const void *tag)
{
    sd_status     st   = SD_OK;
    const int64_t line = line_of(event);

    SD_REQUIRE(anchor == NULL, SD_ERR_USAGE, "%s:%" PRId64 ": anchors (&) are not supported",
               b->shown, line);
    SD_REQUIRE(tag == NULL, SD_ERR_USAGE, "%s:%" PRId64 ": tags (!) are not supported", b->shown,
               line);
    SD_REQUIRE(++b->n_nodes <= MOST_NODES, SD_ERR_USAGE, "%s:%" PRId64 ": has more than %d entries",
               b->shown, line, MOST_NODES);

done:
    return st;
}

static sd_status add_scalar(builder *b, const yaml_event_t *event)
{
    sd_status   st     = SD_OK;
    const char *text   = (const char *)event->data.scalar.value;
    const bool  quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    char       *copy   = NULL;
    sd_yaml     node;

    SD_TRY(check_node(b, event, event->data.scalar.anchor, event->data.scalar.tag));
    SD_REQUIRE(strlen(text) == event->data.scalar.length, SD_ERR_USAGE,
               "%s:%" PRId64 ": a text holds a zero byte", b->shown, line_of(event));
    if (wants_key(b)) {
        b->open[b->depth - 1].key_line = line_of(event);
        return sd_copy_string(text, &b->open[b->depth - 1].key);
    }
    SD_TRY(sd_copy_string(!quoted && is_null(text) ? "" : text, &copy));
    node =
        (sd_yaml){.kind = SD_YAML_SCALAR, .line = line_of(event), .scalar = copy, .quoted = quoted};
    SD_TRY(finish(b, &node));

done:
    return st;
}

static sd_status open_level(builder *b, const yaml_event_t *event, sd_yaml_kind kind,
                            const void *anchor, const void *tag)
{
    sd_status st = SD_OK;

    SD_TRY(check_node(b, event, anchor, tag));
    SD_REQUIRE(!wants_key(b), SD_ERR_USAGE, "%s:%" PRId64 ": a key has to be plain text", b->shown,
               line_of(event));
    SD_REQUIRE(b->depth < MOST_DEPTH, SD_ERR_USAGE, "%s:%" PRId64 ": is nested deeper than %d",
               b->shown, line_of(event), MOST_DEPTH);
    b->open[b->depth++] =
        (level){.node = {.kind = kind, .line = line_of(event)}, .first = b->n_pending};

done:
    return st;
}

/* ---- ends of lists and maps ---- */

static int by_key(const void *a, const void *b)
{
    const sd_yaml *left = *(const sd_yaml *const *)a, *right = *(const sd_yaml *const *)b;
    const int      order = strcmp(left->key, right->key);

    return order != 0 ? order : (left->line > right->line) - (left->line < right->line);
}

static sd_status refuse_duplicates(const builder *b, const sd_yaml *child, int64_t count)
{
    sd_status       st     = SD_OK;
    const sd_yaml **sorted = NULL;

    SD_TRY(sd_alloc(count, sizeof *sorted, &sorted));
    for (int64_t i = 0; i < count; i++) sorted[i] = &child[i];
    qsort(sorted, (size_t)count, sizeof *sorted, by_key);
    for (int64_t i = 1; i < count; i++)
        SD_REQUIRE(strcmp(sorted[i - 1]->key, sorted[i]->key) != 0, SD_ERR_USAGE,
                   "%s:%" PRId64 ": the key '%s' is there twice; see line %" PRId64, b->shown,
                   sorted[i]->line, sorted[i]->key, sorted[i - 1]->line);

done:
    sd_free(sorted);
    return st;
}

static sd_status close_level(builder *b)
{
    sd_status     st    = SD_OK;
    level        *top   = &b->open[b->depth - 1];
    const int64_t count = b->n_pending - top->first;
    sd_yaml      *child = NULL;
    sd_yaml       node  = top->node;

    if (node.kind == SD_YAML_MAP && count > 0)
        SD_TRY(refuse_duplicates(b, b->pending + top->first, count));
    SD_TRY(sd_alloc(count, sizeof *child, &child));
    if (count > 0) memcpy(child, b->pending + top->first, (size_t)count * sizeof *child);
    b->n_pending = top->first;
    node.child   = child;
    node.count   = count;
    b->depth--;
    SD_TRY(finish(b, &node));

done:
    return st;
}

/* ---- the stream ---- */

/* Line of a byte, where the parser knows no more. */
static int64_t line_at(const builder *b, size_t offset)
{
    int64_t line = 1;

    for (size_t i = 0; i < offset && i < (size_t)b->length; i++) line += b->text[i] == '\n';
    return line;
}

static sd_status parser_failure(const builder *b)
{
    sd_status            st      = SD_OK;
    const yaml_parser_t *p       = &b->parser;
    const char          *problem = p->problem != NULL ? p->problem : "is not valid YAML";

    SD_REQUIRE(p->error != YAML_MEMORY_ERROR, SD_ERR_RESOURCE, "%s: no memory to parse it",
               b->shown);
    SD_REQUIRE(p->error != YAML_READER_ERROR, SD_ERR_USAGE, "%s:%" PRId64 ": %s", b->shown,
               line_at(b, p->problem_offset), problem);
    SD_REQUIRE(false, SD_ERR_USAGE, "%s:%" PRId64 ": %s%s%s", b->shown,
               (int64_t)p->problem_mark.line + 1, problem, p->context != NULL ? " " : "",
               p->context != NULL ? p->context : "");

done:
    return st;
}

static sd_status handle(builder *b, const yaml_event_t *event)
{
    sd_status st = SD_OK;

    switch (event->type) {
    case YAML_SCALAR_EVENT: return add_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_level(b, event, SD_YAML_LIST, event->data.sequence_start.anchor,
                          event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return open_level(b, event, SD_YAML_MAP, event->data.mapping_start.anchor,
                          event->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return close_level(b);
    case YAML_ALIAS_EVENT:
        SD_REQUIRE(false, SD_ERR_USAGE, "%s:%" PRId64 ": aliases (*) are not supported", b->shown,
                   line_of(event));
        break;
    case YAML_DOCUMENT_START_EVENT:
        SD_REQUIRE(!b->has_root, SD_ERR_USAGE,
                   "%s:%" PRId64 ": a second document begins here, want one", b->shown,
                   line_of(event));
        break;
    default: break;
    }

done:
    return st;
}

static sd_status parse_events(builder *b)
{
    sd_status    st   = SD_OK;
    bool         more = true;
    yaml_event_t event;

    while (more) {
        if (yaml_parser_parse(&b->parser, &event) == 0) return parser_failure(b);
        more = event.type != YAML_STREAM_END_EVENT;
        st   = handle(b, &event);
        yaml_event_delete(&event);
        if (st != SD_OK) return st;
    }
    SD_REQUIRE(b->has_root, SD_ERR_USAGE, "%s: is empty", b->shown);

done:
    return st;
}

sd_status sd_yaml_parse(const char *text, int64_t length, const char *shown, sd_yaml_document **out)
{
    sd_status st = SD_OK;
    builder   b  = {.shown = shown, .text = text, .length = length};

    *out = NULL;
    SD_REQUIRE(yaml_parser_initialize(&b.parser) != 0, SD_ERR_RESOURCE, "%s: no memory to parse it",
               shown);
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, (size_t)length);
    SD_TRY(parse_events(&b));
    SD_TRY(sd_alloc(1, sizeof **out, out));
    (*out)->root = b.root;
    b.root       = (sd_yaml){0};

done:
    for (int k = 0; k < b.depth; k++) sd_free(b.open[k].key);
    for (int64_t i = 0; i < b.n_pending; i++) release(&b.pending[i]);
    sd_free(b.pending);
    release(&b.root);
    yaml_parser_delete(&b.parser);
    return st;
}

void sd_yaml_destroy(sd_yaml_document **document)
{
    if (*document == NULL) return;
    release(&(*document)->root);
    sd_free(*document);
    *document = NULL;
}

const sd_yaml *sd_yaml_root(const sd_yaml_document *document)
{
    return &document->root;
}
