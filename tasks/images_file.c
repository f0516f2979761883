/* images_file.c - files of images: where they are looked for, where they are published; see images.h */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/gzip.h"
#include "tasks/images.h"

struct known { /* files that are published */
    const char *name, *where, *sum;
};
#define CIFAR "https://www.cs.toronto.edu/~kriz/cifar.html in cifar-10-binary.tar.gz"
#define CIFAR_SUM "MD5 c32a1d4ab5d03f1284b67883e8d87530 of the archive"
#define MNIST "http://yann.lecun.com/exdb/mnist"
static const struct known known[] = {
    {"cifar10_train_2000.bin", CIFAR ", as the first 2000 images of data_batch_1.bin",
     "eae30ce617c27eb358b2409617ac9c388f67c480af37b07393173a79541bb8f4"},
    {"cifar10_test_1000.bin", CIFAR ", as the first 1000 images of test_batch.bin",
     "8314c96d7cd65618193bab23acdd5d4c4af15bf6dd00a1781d55beedf3be1ef5"},
    {"mnist-t10k-images-idx3-ubyte.gz", MNIST ", packed again from t10k-images-idx3-ubyte",
     "ba05d2d6e06f59dd97d2d5378250478bb5c9b64296a5c2681700569121e3a2d7"},
    {"mnist-t10k-labels-idx1-ubyte.gz", MNIST ", packed again from t10k-labels-idx1-ubyte",
     "94088eab8a64f51a9b34cc9716f54b6548ef8b2fd16ada6d1575091b933dbf4b"},
    {"train-images-idx3-ubyte.gz", MNIST, "MD5 of MNIST's f68b3c2dcbeaaa9fbdd348bbdeb94873"},
    {"train-labels-idx1-ubyte.gz", MNIST, "MD5 of MNIST's d53e105ee54ea40749a09fcbcd1e9432"},
    {"t10k-images-idx3-ubyte.gz", MNIST, "MD5 of MNIST's 9fb629c4189551a2d022fa330f9573f3"},
    {"t10k-labels-idx1-ubyte.gz", MNIST, "MD5 of MNIST's ec29112dd5afa0611ce80d1b7f02629c"},
};

/* A name that begins with / or . is a path; others are looked for where data files lie. */
static enum sqa_status find(const struct sqa_task_env *env, const char *name, char path[4096], struct sqa_err *err)
{
    const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    struct known k = {name, NULL, NULL};
    if (name[0] == '/' || name[0] == '.') {
        snprintf(path, 4096, "%s", name);
        return SQA_OK;
    }
    if (strstr(name, "data_batch_") || strstr(name, "test_batch"))
        k = (struct known){name, CIFAR ", with data_batch_1.bin to data_batch_5.bin and test_batch.bin", CIFAR_SUM};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(base, known[i].name) == 0)
            k = known[i];
    return sqa_data_find(env, name, k.where, k.sum, path, err);
}

struct content {
    char path[4096];
    char *data;
    size_t size;
};

static enum sqa_status load(const struct sqa_task_env *env, const char *name, struct content *c, struct sqa_err *err)
{
    enum sqa_status status = find(env, name, c->path, err);
    if (status == SQA_OK)
        status = sqa_file_read(c->path, SQA_IMAGES_LIMIT, &c->data, &c->size, err);
    if (status != SQA_OK || !sqa_is_gzip(c->data, c->size))
        return status;
    char *packed = c->data;
    c->data = NULL;
    status = sqa_gunzip(c->path, packed, c->size, SQA_IMAGES_LIMIT, &c->data, &c->size, err);
    sqa_free(packed);
    return status;
}

/* "a/train-images-idx3-ubyte.gz" -> "a/train-labels-idx1-ubyte.gz" */
static bool labels_name(const char *name, char out[4096])
{
    static const char *const pairs[][2] = {{"images-idx3", "labels-idx1"}, {"images.idx3", "labels.idx1"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const char *at = strstr(name, pairs[i][0]);
        if (at)
            return snprintf(out, 4096, "%.*s%s%s", (int)(at - name), name, pairs[i][1], at + strlen(pairs[i][0])) <
                   4096;
    }
    return false;
}

enum sqa_status sqa_images_add_file(const struct sqa_task_env *env, const char *name, const char *labels,
                                    const struct sqa_images_reading *how, struct sqa_images *set, bool *idx,
                                    struct sqa_err *err)
{
    struct content x = {.data = NULL}, y = {.data = NULL};
    char guess[4096];
    enum sqa_status status = load(env, name, &x, err);
    *idx = status == SQA_OK && sqa_images_is_idx(x.data, x.size);
    if (*idx && !*labels && !labels_name(name, guess))
        status =
            sqa_fail(err, SQA_USAGE,
                     "image: %s is an IDX file of images, and no images-idx3 in its name tells that of its labels; "
                     "give train_labels= or test_labels=",
                     name);
    else if (*idx)
        status = load(env, *labels ? labels : guess, &y, err);
    else if (status == SQA_OK && *labels)
        status =
            sqa_fail(err, SQA_USAGE,
                     "image: labels in %s for %s, which is no IDX file of images; CIFAR records hold their labels",
                     labels, name);
    if (status == SQA_OK)
        status = sqa_images_add(x.path, x.data, x.size, *idx ? y.path : NULL, y.data, y.size, how, set, err);
    sqa_free(x.data);
    sqa_free(y.data);
    return status;
}
