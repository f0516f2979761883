/* listops_list.c - value, drawing and storage of ListOps expressions, see listops.h */
#include <string.h>

#include "base/file.h"
#include "base/random.h"
#include "tasks/listops.h"

const char *const sqa_listops_names[SQA_LISTOPS_VOCAB] = {"",  "?", "0", "1",    "2",    "3",    "4",   "5", "6",
                                                          "7", "8", "9", "[MIN", "[MAX", "[MED", "[SM", "]"};

/* An open operator needs only how often each digit stands among its arguments. */
struct frame {
    uint32_t count[10];
    uint8_t operator;
};

static int rank(const struct frame *f, uint32_t k)
{
    uint32_t below = 0;
    int digit = 0;
    while (digit < 9 && (below += f->count[digit]) <= k)
        digit++;
    return digit;
}

/* -1 when there are no arguments. */
static int apply(const struct frame *f)
{
    uint32_t n = 0;
    uint64_t sum = 0;
    for (int d = 0; d < 10; d++) {
        n += f->count[d];
        sum += (uint64_t)d * f->count[d];
    }
    if (n == 0)
        return -1;
    switch (f->operator) {
    case SQA_LISTOPS_MIN:
        return rank(f, 0);
    case SQA_LISTOPS_MAX:
        return rank(f, n - 1);
    case SQA_LISTOPS_MED:
        return (rank(f, (n - 1) / 2) + rank(f, n / 2)) / 2;
    default:
        return (int)(sum % 10);
    }
}

bool sqa_listops_evaluate(const uint8_t *tokens, size_t n, int *value)
{
    struct frame stack[SQA_LISTOPS_DEPTH];
    size_t depth = 0;
    if (n > UINT32_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        const uint8_t t = tokens[i];
        int v = -1;
        if (t >= SQA_LISTOPS_ZERO && t < SQA_LISTOPS_ZERO + 10) {
            v = t - SQA_LISTOPS_ZERO;
        } else if (t >= SQA_LISTOPS_MIN && t <= SQA_LISTOPS_SM) {
            if (depth == SQA_LISTOPS_DEPTH)
                return false;
            memset(&stack[depth], 0, sizeof stack[depth]);
            stack[depth++].operator= t;
            continue;
        } else if (t == SQA_LISTOPS_CLOSE && depth > 0) {
            v = apply(&stack[--depth]);
        }
        if (v < 0)
            return false;
        if (depth == 0) {
            *value = v;
            return i + 1 == n;
        }
        stack[depth - 1].count[v]++;
    }
    return false;
}

/* One 32-bit word a node. Below 2^30 (a quarter) it is an operator where the depth allows one: two bits choose it,
 * 28 bits the number of arguments. Otherwise what is left of the range chooses the digit. */
size_t sqa_listops_draw(uint64_t key, uint64_t draw, const struct sqa_listops_shape *shape, uint8_t *tokens,
                        uint64_t *nodes)
{
    int32_t left[SQA_LISTOPS_DEPTH]; /* arguments that each open operator still needs */
    uint32_t words[4];
    size_t open = 0, n = 0;
    int64_t least = 1; /* length if every node still to be drawn were a digit */
    for (uint64_t node = 0;; node++) {
        if (node % 4 == 0)
            sqa_random_block(key, draw << 17 | node / 4, words);
        const uint32_t w = words[node % 4];
        (*nodes)++;
        if (open > 0)
            left[open - 1]--;
        if ((int64_t)open + 1 < shape->depth && w < (uint32_t)1 << 30) {
            const uint64_t choice = w & 0x0fffffff;
            const int32_t arguments = 2 + (int32_t)(choice * (uint64_t)(shape->arguments - 1) >> 28);
            least += 1 + arguments;
            if (least >= shape->max)
                return 0;
            tokens[n++] = (uint8_t)(SQA_LISTOPS_MIN + (w >> 28));
            left[open++] = arguments;
        } else if ((int64_t)open + 1 < shape->depth) {
            const uint64_t rest = w - ((uint32_t)1 << 30);
            tokens[n++] = (uint8_t)(SQA_LISTOPS_ZERO + rest * 10 / ((uint64_t)3 << 30));
        } else {
            tokens[n++] = (uint8_t)(SQA_LISTOPS_ZERO + ((uint64_t)w * 10 >> 32));
        }
        while (open > 0 && left[open - 1] == 0) {
            tokens[n++] = SQA_LISTOPS_CLOSE;
            open--;
        }
        if (open == 0)
            return (int64_t)n > shape->min && (int64_t)n < shape->max ? n : 0;
    }
}

enum sqa_status sqa_listops_add(struct sqa_listops_set *set, enum sqa_split split, struct sqa_listops_example e,
                                const uint8_t *tokens, struct sqa_err *err)
{
    if (set->count[split] == set->capacity[split]) {
        const size_t capacity = set->capacity[split] ? 2 * set->capacity[split] : 256;
        struct sqa_listops_example *p = sqa_realloc(set->example[split], capacity * sizeof *p);
        if (!p)
            return sqa_fail(err, SQA_NOMEM,
                            "listops: no memory for %zu lists; free some memory or lower train=", capacity);
        set->example[split] = p;
        set->capacity[split] = capacity;
    }
    set->example[split][set->count[split]++] = e;
    set->hash[split] = sqa_hash(tokens, e.length, set->hash[split]) + e.label;
    return SQA_OK;
}

void sqa_listops_clear(struct sqa_listops_set *set)
{
    for (int s = 0; s < SQA_SPLITS; s++)
        sqa_free(set->example[s]);
    sqa_free(set->tokens);
    *set = (struct sqa_listops_set){0};
}
