/*
 * schema.h - the result files and their columns: one table read by writer, reader, docs and reports
 *
 * Files of a run directory: run.json, cells.csv, samples.csv, curves.csv, ops.csv, examples.csv, horizon.csv. A
 * missing value is an empty field, never 0. The unit is in the column's name. The first column is always `schema`.
 * Adding a column is adding one line here; readers find columns by name.
 */
#ifndef SQA_RESULTS_SCHEMA_H
#define SQA_RESULTS_SCHEMA_H

#include <stddef.h>

#define SQA_SCHEMA_VERSION "1"

/* What a row of cells.csv was measured in: a training step, inference on whole sequences, or one token by step forms.
 */
enum sqa_phase { SQA_PHASE_TRAIN, SQA_PHASE_INFER, SQA_PHASE_STEP, SQA_PHASE_N, SQA_PHASE_ANY = SQA_PHASE_N };
extern const char *const sqa_phase_names[SQA_PHASE_N]; /* "train", "infer", "step" */
int sqa_phase_of(const char *name);                    /* SQA_PHASE_N when there is none of that name */

/* X(name, help) */
#define SQA_CELLS_COLUMNS(X)                                                                                         \
    X(schema, "version of this table")                                                                               \
    X(key, "stable key of the cell: hash of model, task, recipe, seed, settings")                                    \
    X(phase, "train, infer or step; a row a phase")                                                                  \
    X(model, "model, short form")                                                                                    \
    X(task, "task, short form")                                                                                      \
    X(scale, "recipe file that gave the settings")                                                                   \
    X(length, "positions a row at most (look-back in forecasting); step: those so far")                              \
    X(horizon, "steps to forecast, empty for classification")                                                        \
    X(batch, "rows a step")                                                                                          \
    X(dtype, "compute type of products and softmax attention: f32, bf16 or bf16-emulated")                           \
    X(threads, "threads of the cell")                                                                                \
    X(seed, "training seed")                                                                                         \
    X(status, "ok, failed, diverged, timeout, nomem, unsupported, mistrusted")                                       \
    X(message, "why, when status is not ok")                                                                         \
    X(params, "trainable numbers of the model")                                                                      \
    X(state_floats, "numbers of untrained state; step: what a sequence keeps")                                       \
    X(steps, "training steps done")                                                                                  \
    X(best_step, "step of the weights that were tested")                                                             \
    X(train_examples, "training examples seen, repeats counted")                                                     \
    X(flops, "forward (infer), and backward (train), of a full batch; step: a token a row")                          \
    X(flops_recompute, "recomputation of one training step")                                                         \
    X(flops_optimizer, "optimiser of one training step")                                                             \
    X(bytes, "compulsory traffic of the same work")                                                                  \
    X(mem_planned_bytes, "planned arena of this phase at full batch and length, and states")                         \
    X(mem_params_bytes, "parameters (train: with gradients and moments)")                                            \
    X(mem_peak_rss_bytes, "peak resident set of the child process")                                                  \
    X(mem_own_bytes, "peak less start of the child process")                                                         \
    X(latency_ns_median, "one step of a full batch: median of samples")                                              \
    X(latency_ns_min, "fastest sample")                                                                              \
    X(latency_ns_p90, "90th percentile")                                                                             \
    X(latency_ns_mean, "mean")                                                                                       \
    X(latency_samples, "number of samples")                                                                          \
    X(cpu_ns_median, "thread CPU time of one step, all threads: median")                                             \
    X(throughput_tokens_per_s, "batch x length (pairs: twice; step: batch) / median latency")                        \
    X(valid_loss, "loss on validation, of the tested weights")                                                       \
    X(valid_accuracy, "accuracy on validation")                                                                      \
    X(valid_mse, "mean squared error on validation, standardised values")                                            \
    X(valid_mae, "mean absolute error on validation, standardised values")                                           \
    X(test_n, "test examples (lists, sequences with tags, or forecast windows)")                                     \
    X(test_loss, "loss on test")                                                                                     \
    X(test_accuracy, "accuracy on test, 0 to 1; of tags over all labelled positions")                                \
    X(test_mse, "mean squared error on test, standardised values")                                                   \
    X(test_mae, "mean absolute error on test, standardised values")                                                  \
    X(test_rmse, "root of the mean squared error on test, in the units of the data")                                 \
    X(test_mape, "mean absolute error by the value on test, per cent; values of 0 are left out")                     \
    X(test_smape, "mean of 200 |error| / (|value| + |forecast|) on test, per cent")                                  \
    X(test_mase, "mean absolute error on test by that of the seasonal naive in training")                            \
    X(train_loss, "mean training loss over the last evaluation interval")                                            \
    X(train_accuracy, "accuracy of the tested weights on as many training examples as test has")                     \
    X(train_seconds, "seconds of training steps, data and evaluation left out")                                      \
    X(data_seconds, "seconds of fetching batches")                                                                   \
    X(harness_seconds, "seconds of training outside ops and data")                                                   \
    X(total_seconds, "wall seconds of the cell")                                                                     \
    X(floor, "1 when the model is a floor (a baseline without training)")                                            \
    X(origin, "empty: measured here; external: scored from predictions, cost as stated")                             \
    X(test_hash, "hash of the test examples, as data verify gives it")                                               \
    X(padding, "how rows were padded: longest (of their batch), sorted (longest of their micro-batch) or full (the " \
               "task's length)")                                                                                     \
    X(real_share, "share of tokens in the positions of the training batches; of timing: 1")                          \
    X(note, "what a reader must know of this row")                                                                   \
    X(model_full, "model with every parameter")                                                                      \
    X(task_full, "task with every parameter")                                                                        \
    X(recipe, "resolved recipe, name=value;...")                                                                     \
    X(recipe_source, "where the settings come from")                                                                 \
    X(trial, "setting tried, such as rate=0.001, when this cell belongs to a search: no test; else empty")           \
    X(trials, "trials of which the one with the best validation gave a setting of this row")                         \
    X(instructions, "bench --count: instructions of one step, counted by valgrind; the note says how")               \
    X(data_reads, "bench --count: loads of one step")                                                                \
    X(data_writes, "bench --count: stores of one step")                                                              \
    X(unfit, "why this timing is not to be used: another run of ours worked beside it, or the machine had no lock")  \
    X(checks, "verdict of the checks of this build that stand behind the timing: ok, or none and why")               \
    X(warmup_ns, "time before the first sample, until two medians in a row agreed within 2 %, ten turns at most")    \
    X(warmup_settled, "1: they agreed; 0: they did not; empty: a step is too long to be repeated for that")          \
    X(latency_outliers, "samples beyond the quartiles by three times their distance; they are in every figure")      \
    X(steal_ns, "time that the host took from the whole machine during the samples")                                 \
    X(latency_ns_p99, "99th percentile of the samples")                                                              \
    X(first_ns_median, "step: the token at position 0, with nothing before it: median, one sample a round")          \
    X(cache, "cold: the caches were emptied before every sample; else empty")                                        \
    X(sample_steps, "steps that a sample is the mean of: as many as take 1 ms, or 1")                                \
    X(counters, "name=value;... of counters, a step: median of samples, of the thread that times")                   \
    X(counter_passes, "passes that the counters needed; each counts some of them, over samples of its own")          \
    X(bind, "processors that threads 0, 1, ... were bound to, and where memory lies; empty: not bound")

#define SQA_SAMPLES_COLUMNS(X)                                                                              \
    X(schema, "version of this table")                                                                      \
    X(key, "cell")                                                                                          \
    X(phase, "train, infer or step")                                                                        \
    X(round, "round of interleaving")                                                                       \
    X(index, "sample within the round")                                                                     \
    X(ns, "wall time of one step")                                                                          \
    X(cpu_ns, "CPU time of one step, all threads of the process")                                           \
    X(voluntary_switches, "context switches during the sample")                                             \
    X(involuntary_switches, "context switches during the sample")                                           \
    X(counters, "name=value;... of counters of one pass, read around the sample")                           \
    X(slot, "place in the order of the round, 0 is the first")                                              \
    X(steal_ns, "time that the host took from the whole machine during the sample, in ticks of the kernel") \
    X(outlier, "1: beyond the quartiles of this cell by three times their distance, else 0")

#define SQA_CURVES_COLUMNS(X)                                              \
    X(schema, "version of this table")                                     \
    X(key, "cell")                                                         \
    X(step, "training steps done")                                         \
    X(split, "train, valid or test")                                       \
    X(loss, "mean loss")                                                   \
    X(metric, "accuracy, or MSE in forecasting")                           \
    X(rate, "learning rate at this step")                                  \
    X(seconds, "seconds since the start of training, resumed parts added") \
    X(examples, "training examples seen")

#define SQA_OPS_COLUMNS(X)                 \
    X(schema, "version of this table")     \
    X(key, "cell")                         \
    X(phase, "train, infer or step")       \
    X(op, "op")                            \
    X(path, "where in the model")          \
    X(calls, "calls a step")               \
    X(flops, "a step")                     \
    X(bytes, "a step, compulsory traffic") \
    X(ns, "a step, median")

#define SQA_EXAMPLES_COLUMNS(X)                                                                            \
    X(schema, "version of this table")                                                                     \
    X(key, "cell")                                                                                         \
    X(index, "test example")                                                                               \
    X(target, "label; empty in forecasting and for tags")                                                  \
    X(output, "predicted label; empty in forecasting and for tags")                                        \
    X(loss, "loss of this example (forecasting: squared error, mean of the window; tags: mean of labels)") \
    X(labels, "tags: labelled positions of this example, else empty")                                      \
    X(right, "tags: how many of them are right, else empty")

#define SQA_HORIZON_COLUMNS(X)                               \
    X(schema, "version of this table")                       \
    X(key, "cell")                                           \
    X(step, "row of the horizon, 1 is the first")            \
    X(mse, "mean squared error of it on test, standardised") \
    X(mae, "mean absolute error of it on test, standardised")

/* Enums: SQA_CELLS_key, ..., SQA_CELLS_N and so on. */
#define SQA_SCHEMA_ENUM(TABLE) enum { TABLE##_COLUMNS(TABLE##_ENUM_ENTRY) TABLE##_N };
#define SQA_CELLS_ENUM_ENTRY(name, help) SQA_CELLS_##name,
#define SQA_SAMPLES_ENUM_ENTRY(name, help) SQA_SAMPLES_##name,
#define SQA_CURVES_ENUM_ENTRY(name, help) SQA_CURVES_##name,
#define SQA_OPS_ENUM_ENTRY(name, help) SQA_OPS_##name,
#define SQA_EXAMPLES_ENUM_ENTRY(name, help) SQA_EXAMPLES_##name,
#define SQA_HORIZON_ENUM_ENTRY(name, help) SQA_HORIZON_##name,
SQA_SCHEMA_ENUM(SQA_CELLS)
SQA_SCHEMA_ENUM(SQA_SAMPLES)
SQA_SCHEMA_ENUM(SQA_CURVES)
SQA_SCHEMA_ENUM(SQA_OPS)
SQA_SCHEMA_ENUM(SQA_EXAMPLES)
SQA_SCHEMA_ENUM(SQA_HORIZON)

struct sqa_schema_column {
    const char *name, *help;
};
struct sqa_schema {
    const char *file; /* "cells.csv" */
    const char *help;
    size_t n;
    const struct sqa_schema_column *columns;
};
enum {
    SQA_FILE_CELLS,
    SQA_FILE_SAMPLES,
    SQA_FILE_CURVES,
    SQA_FILE_OPS,
    SQA_FILE_EXAMPLES,
    SQA_FILE_HORIZON,
    SQA_FILES
};
extern const struct sqa_schema sqa_schemas[SQA_FILES];

#endif
