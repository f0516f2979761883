/*
 * store.h - named tensors that outlive graphs: parameters and state
 *
 * Entries are declared while the first graph of a model is built (sqa_store_declare returns the same entry for the
 * same name later); sqa_store_seal then lays all parameters in one block, with gradients and both moments in blocks
 * of the same layout (entries start on 64-byte borders; the gaps are zero and stay zero), state in another, and fills
 * them. Initial values depend on (seed, name) only: not on order, threads or type.
 */
#ifndef SQA_ENGINE_STORE_H
#define SQA_ENGINE_STORE_H

#include "engine/graph.h"

enum sqa_entry_kind { SQA_PARAMETER, SQA_STATE };
enum sqa_group { SQA_GROUP_REGULAR, SQA_GROUP_NO_DECAY, SQA_GROUP_SSM, SQA_GROUPS };

struct sqa_init {
    enum {
        SQA_INIT_ZERO,
        SQA_INIT_CONSTANT,
        SQA_INIT_UNIFORM,
        SQA_INIT_NORMAL,
        SQA_INIT_XAVIER,
        SQA_INIT_LOG_UNIFORM,
        SQA_INIT_CUSTOM
    } kind;
    double a, b; /* CONSTANT a; UNIFORM a..b; NORMAL mean a, deviation b; LOG_UNIFORM: log of a value log-uniform in
                    a..b; XAVIER: uniform +-sqrt(6 / (fan in + fan out)) of the last two dims, times a when a != 0 */
    void (*fill)(double *values, int rank, const int64_t *dim, uint64_t key, const void *arg); /* CUSTOM */
    const void *arg; /* must live until seal */
};

struct sqa_entry {
    const char *name; /* "blocks.0.mixer.wq" */
    enum sqa_entry_kind kind;
    enum sqa_group group;
    int rank;
    int64_t dim[SQA_MAX_RANK];
    int64_t count;
    struct sqa_init init;
    int64_t offset; /* elements in its block */
    void *value, *gradient, *m, *v;
    void (*project)(void *value, enum sqa_dtype real, int64_t count); /* after each step, or NULL */
    struct sqa_entry *next;
};

struct sqa_store {
    struct sqa_arena arena;
    enum sqa_dtype real; /* SQA_F32 or SQA_F64 */
    uint64_t seed;
    bool sealed, trainable;
    struct sqa_entry *first, *last;
    int64_t parameter_count, state_count; /* without gaps */
    int64_t parameter_block, state_block; /* elements, gaps included */
    void *values, *gradients, *m, *v, *states;
};

void sqa_store_init(struct sqa_store *s, enum sqa_dtype real, uint64_t seed);
void sqa_store_clear(struct sqa_store *s);
/* The entry of that name; made when new (only before seal). The shape of an existing one must agree. NULL on failure:
 * err says why. */
struct sqa_entry *sqa_store_declare(struct sqa_store *s, const char *name, enum sqa_entry_kind kind,
                                    enum sqa_group group, int rank, const int64_t *dim, struct sqa_init init,
                                    struct sqa_err *err);
struct sqa_entry *sqa_store_find(const struct sqa_store *s, const char *name);
/* Allocates blocks and fills initial values. trainable: gradients and moments too. */
enum sqa_status sqa_store_seal(struct sqa_store *s, bool trainable, struct sqa_err *err) SQA_MUST_CHECK;
/* Values and states together, parameter_block + state_block elements: taken into `to`, put back from `from`. */
size_t sqa_store_snapshot_bytes(const struct sqa_store *s);
void sqa_store_take(const struct sqa_store *s, void *to);
void sqa_store_put_back(struct sqa_store *s, const void *from);
/* Reads or writes an entry as doubles, e->count numbers. */
void sqa_entry_get(const struct sqa_store *s, const struct sqa_entry *e, double *out);
void sqa_entry_set(struct sqa_store *s, struct sqa_entry *e, const double *in);

#endif
