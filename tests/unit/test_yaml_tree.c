/* YAML becomes a tree in the file's order, each node with its line. */
#include <string.h>

#include "io/yaml.h"
#include "tests/support/check.h"

static sd_yaml_document *parsed(const char *text)
{
    sd_yaml_document *document = NULL;

    CHECK(sd_yaml_parse(text, (int64_t)strlen(text), "study.yaml", &document) == SD_OK);
    return document;
}

static void is_scalar(const sd_yaml *node, const char *key, const char *text, int64_t line)
{
    CHECK(node->kind == SD_YAML_SCALAR && strcmp(node->scalar, text) == 0 && node->line == line);
    CHECK(key == NULL ? node->key == NULL : node->key != NULL && strcmp(node->key, key) == 0);
    CHECK(node->count == 0);
}

static void a_study_becomes_a_tree(void)
{
    sd_yaml_document *document = parsed("# comment\n"
                                        "title: a study\n"
                                        "measure: {length: 128,\n"
                                        "          bos: 'true'}\n"
                                        "runs:\n"
                                        "\n"
                                        "  - name: base\n"
                                        "    checkpoints:\n"
                                        "      - step_*\n"
                                        "  - name: ft\n");
    const sd_yaml    *root     = sd_yaml_root(document);

    CHECK(root->kind == SD_YAML_MAP && root->count == 3 && root->line == 2 && root->key == NULL);
    is_scalar(&root->child[0], "title", "a study", 2);
    CHECK(root->child[1].kind == SD_YAML_MAP && root->child[1].line == 3);
    is_scalar(&root->child[1].child[0], "length", "128", 3);
    is_scalar(&root->child[1].child[1], "bos", "true", 4);
    CHECK(!root->child[1].child[0].quoted && root->child[1].child[1].quoted);

    const sd_yaml *runs = &root->child[2]; /* the key's line, not that of the list's first entry */
    CHECK(runs->kind == SD_YAML_LIST && runs->count == 2 && runs->line == 5);
    CHECK(strcmp(runs->key, "runs") == 0 && runs->child[0].key == NULL);
    CHECK(runs->child[0].kind == SD_YAML_MAP && runs->child[0].count == 2);
    CHECK(runs->child[0].line == 7 && runs->child[0].child[1].line == 8);
    is_scalar(&runs->child[0].child[1].child[0], NULL, "step_*", 9);
    is_scalar(&runs->child[1].child[0], "name", "ft", 10);
    sd_yaml_destroy(&document);
    CHECK(document == NULL);
}

static void null_is_an_empty_scalar_unless_quoted(void)
{
    sd_yaml_document *document = parsed("[~, null, Null, 'null', \"\", nul]");
    const sd_yaml    *root     = sd_yaml_root(document);

    CHECK(root->count == 6);
    is_scalar(&root->child[0], NULL, "", 1);
    is_scalar(&root->child[1], NULL, "", 1);
    is_scalar(&root->child[2], NULL, "", 1);
    is_scalar(&root->child[3], NULL, "null", 1);
    CHECK(root->child[3].quoted && root->child[4].quoted && !root->child[2].quoted);
    is_scalar(&root->child[5], NULL, "nul", 1);
    sd_yaml_destroy(&document);
}

static void empty_lists_and_deep_ones_are_fine(void)
{
    sd_yaml_document *document = parsed("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]");
    const sd_yaml    *node     = sd_yaml_root(document);

    for (int depth = 1; depth < 16; depth++) {
        CHECK(node->kind == SD_YAML_LIST && node->count == 1);
        node = node->child;
    }
    CHECK(node->kind == SD_YAML_LIST && node->count == 0);
    sd_yaml_destroy(&document);
}

int main(void)
{
    a_study_becomes_a_tree();
    null_is_an_empty_scalar_unless_quoted();
    empty_lists_and_deep_ones_are_fine();
    return REPORT();
}
