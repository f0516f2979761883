/* test_files.c - base/npy.c, engine/safetensors.c, engine/checkpoint.c: round trips, refusals, failing allocations */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/npy.h"
#include "base/text.h"
#include "engine/checkpoint.h"

static char folder[] = "/tmp/sqa_test_files_XXXXXX";
static char path[64], other[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(other);
    return rmdir(folder);
}

static void assert_ok(enum sqa_status status, const struct sqa_err *err)
{
    if (status != SQA_OK)
        fail_msg("%s", err->text);
}

/* ---- npy ---- */

static size_t npy_bytes(unsigned char *out, int version, const char *header, const void *data, size_t size)
{
    const size_t n = strlen(header), start = version == 1 ? 10 : 12;
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (unsigned char)version;
    out[7] = 0;
    for (size_t i = 8; i < start; i++)
        out[i] = (unsigned char)(n >> 8 * (i - 8));
    memcpy(out + start, header, n);
    memcpy(out + start + n, data, size);
    return start + n + size;
}

static void test_npy_types(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int version;
        unsigned char data[16];
        size_t size;
        double first, second;
        const char *type;
    } rows[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }   \n",
         1,
         {0, 0, 128, 63, 0, 0, 0, 192},
         8,
         1,
         -2,
         "f4"},
        {"{'shape': (1, 2), 'descr': '<f8', 'fortran_order': False}\n",
         2,
         {0, 0, 0, 0, 0, 0, 240, 63, 0, 0, 0, 0, 0, 0, 0, 192},
         16,
         1,
         -2,
         "f8"},
        {"{\"shape\": (2, 1,), \"fortran_order\": False, \"descr\": \"<i4\"}",
         3,
         {1, 0, 0, 0, 254, 255, 255, 255},
         8,
         1,
         -2,
         "i4"},
        {"{'descr': '<i8', 'fortran_order': True, 'shape': (2,)}",
         1,
         {1, 0, 0, 0, 0, 0, 0, 0, 254, 255, 255, 255, 255, 255, 255, 255},
         16,
         1,
         -2,
         "i8"},
        {"{'descr': '<f2', 'fortran_order': False, 'shape': (2,)}", 1, {0, 0xc1, 1, 0}, 4, -2.5, 0x1p-24, "f2"},
        {"{'descr': '<i2', 'fortran_order': False, 'shape': (2,)}", 1, {255, 255, 0, 1}, 4, -1, 256, "i2"},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (2,)}", 1, {255, 255, 0, 1}, 4, 65535, 256, "u2"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}", 1, {1, 254}, 2, 1, 254, "u1"},
        {"{'descr': '|i1', 'fortran_order': False, 'shape': (2,)}", 1, {1, 254}, 2, 1, -2, "i1"},
        {"{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", 1, {1, 0}, 2, 1, 0, "b1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned char bytes[256];
        struct sqa_npy a = {0};
        struct sqa_err err = {0};
        const size_t n = npy_bytes(bytes, rows[i].version, rows[i].header, rows[i].data, rows[i].size);
        assert_ok(sqa_npy_parse("mem", bytes, n, &a, &err), &err);
        assert_int_equal(a.count, 2);
        assert_true(a.data[0] == rows[i].first && a.data[1] == rows[i].second);
        assert_string_equal(a.type, rows[i].type);
        sqa_npy_clear(&a);
        for (size_t cut = 0; cut < n; cut++) /* every truncation is refused */
            assert_int_equal(sqa_npy_parse("mem", bytes, cut, &a, &err), SQA_INPUT);
    }
}

static void test_npy_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header, *what;
    } rows[] = {
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1)}", "np.ascontiguousarray"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}", "big-endian"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", "Python objects"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", "'<c8'"},
        {"{'descr': '<u4', 'fortran_order': False, 'shape': (2,)}", "'<u4'"},
        {"{'descr': '|f4', 'fortran_order': False, 'shape': (2,)}", "'|f4'"},
        {"{'descr': '', 'fortran_order': False, 'shape': (2,)}", "type ''"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", "structured"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", "comma"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': [2]}", "tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", "tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,,)}", "tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}", "comma or )"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "2^63"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4611686018427387904)}",
         "shape and type"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2)}", "8 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", "shape and type"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "shape and type"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", "True or False"},
        {"{'descr': '<f4', 'shape': (2,)}", "once each"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "once each"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}", "once each"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", "nothing after"},
        {"{'descr' '<f4'}", "colon"},
        {"{'descr': '<f4' 'shape': (2,)}", "comma or }"},
        {"", "{ at its start"},
    };
    static const unsigned char data[8];
    unsigned char bytes[256];
    struct sqa_npy a = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sqa_err err = {0};
        const size_t n = npy_bytes(bytes, 1, rows[i].header, data, sizeof data);
        assert_int_equal(sqa_npy_parse("mem", bytes, n, &a, &err), SQA_INPUT);
        if (strncmp(err.text, "mem: ", 5) != 0 || !strstr(err.text, rows[i].what))
            fail_msg("row %zu: %s", i, err.text);
    }
    static const unsigned char large[8] = {1, 0, 0, 0, 0, 0, 32, 0};
    struct sqa_err err = {0};
    const size_t n = npy_bytes(bytes, 1, "{'descr': '<i8', 'fortran_order': False, 'shape': ()}", large, 8);
    assert_int_equal(sqa_npy_parse("mem", bytes, n, &a, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "2^53"));
    bytes[6] = 4;
    assert_int_equal(sqa_npy_parse("mem", bytes, n, &a, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "version 4.0"));
}

static void test_npy_round_trip(void **state)
{
    (void)state;
    static const double values[] = {0, -1, 2.5, 1e300, 3, -7};
    static const int64_t dim[] = {2, 3}, none[] = {0, 3};
    struct sqa_err err = {0};
    struct sqa_npy a = {0};
    assert_ok(sqa_npy_write(path, "f8", 2, dim, values, &err), &err);
    assert_ok(sqa_npy_read(path, &a, &err), &err);
    assert_int_equal(a.rank, 2);
    assert_int_equal(a.dim[1], 3);
    assert_memory_equal(a.data, values, sizeof values);
    sqa_npy_clear(&a);
    char *bytes;
    size_t size;
    assert_ok(sqa_file_read(path, 1000, &bytes, &size, &err), &err);
    assert_int_equal(size, 128 + 48); /* numbers begin on a border of 64 bytes, as NumPy writes them */
    assert_memory_equal(bytes + 10, "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", 59);
    sqa_free(bytes);

    assert_ok(sqa_npy_write(path, "f4", 0, NULL, &values[2], &err), &err);
    assert_ok(sqa_npy_read(path, &a, &err), &err);
    assert_true(a.rank == 0 && a.count == 1 && a.data[0] == 2.5);
    sqa_npy_clear(&a);
    assert_ok(sqa_npy_write(path, "f4", 2, none, NULL, &err), &err);
    assert_ok(sqa_npy_read(path, &a, &err), &err);
    assert_true(a.rank == 2 && a.count == 0);
    sqa_npy_clear(&a);
    assert_ok(sqa_npy_write(path, "i4", 1, (const int64_t[]){2}, values + 4, &err), &err);
    assert_ok(sqa_npy_read(path, &a, &err), &err);
    assert_true(a.data[0] == 3 && a.data[1] == -7);
    sqa_npy_clear(&a);
    assert_int_equal(sqa_npy_write(path, "i4", 2, dim, values, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "element 2"));
    assert_int_equal(sqa_npy_write(path, "u1", 2, dim, values, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "element 1 is -1, not a whole number of 8 bits"));
    assert_int_equal(sqa_npy_write(path, "f2", 2, dim, values, &err), SQA_UNSUPPORTED);
    assert_int_equal(sqa_npy_read(other, &a, &err), SQA_INPUT);
}

static void test_npy_in_pieces(void **state)
{
    (void)state;
    enum { N = 40000 };
    static int32_t ints[N];
    static double back[N];
    struct sqa_err err = {0};
    struct sqa_npy_out o;
    struct sqa_npy_in in;
    static const char *const names[] = {"u1", "i1", "i2", "u2", "i4", "f4"};
    for (size_t t = 0; t < sizeof names / sizeof names[0]; t++) {
        for (int i = 0; i < N; i++)
            ints[i] = i % (t == 0 ? 256 : t == 1 ? 128 : 32768);
        assert_ok(sqa_npy_begin(&o, path, names[t], 2, (const int64_t[]){N / 2, 2}, &err), &err);
        for (size_t i = 0; i < N; i += 8000)
            assert_ok(sqa_npy_add_ints(&o, ints + i, 8000, &err), &err);
        assert_ok(sqa_npy_end(&o, &err), &err);
        assert_ok(sqa_npy_open(path, &in, &err), &err);
        assert_true(in.rank == 2 && in.dim[0] == N / 2 && in.count == N && in.whole == (t < 5));
        assert_string_equal(in.type, names[t]);
        assert_ok(sqa_npy_get(&in, 3, N - 3, back, &err), &err);
        for (int i = 3; i < N; i++)
            assert_true(back[i - 3] == ints[i]);
        sqa_npy_close(&in);
    }
    assert_ok(sqa_npy_begin(&o, path, "i4", 1, (const int64_t[]){N}, &err), &err);
    assert_ok(sqa_npy_add_ints(&o, ints, N - 1, &err), &err);
    assert_int_equal(sqa_npy_end(&o, &err), SQA_SHAPE); /* the file of before stays */
    assert_ok(sqa_npy_open(path, &in, &err), &err);
    assert_int_equal(in.rank, 2);
    sqa_npy_close(&in);
    assert_int_equal(sqa_npy_open("nowhere.npy", &in, &err), SQA_INPUT);
}

/* ---- safetensors ---- */

static size_t st_bytes(char *out, const char *header, size_t data)
{
    const size_t n = strlen(header);
    for (size_t i = 0; i < 8; i++)
        out[i] = (char)(n >> 8 * i);
    memcpy(out + 8, header, n);
    memset(out + 8 + n, 1, data);
    return 8 + n + data;
}

#define T(dtype, shape, begin, end) \
    "{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}"

static void test_safetensors_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data, n, nmeta;
    } rows[] = {
        {"{}", 0, 0, 0},
        {"{} ", 0, 0, 0},
        {"{\"__metadata__\":{\"a\":\"b\",\"c\":\"\"}}", 0, 0, 2},
        {"{\"a\":" T("F32", "2,3", "0", "24") "}", 24, 1, 0},
        {"{\"b\":" T("U8", "3", "0", "3") ",\"a\":" T("F64", "", "3", "11") "}", 11, 2, 0},
        {"{\"b\":" T("I32", "1,1,1,1,1,1", "0", "4") ",\"a\":" T("F32", "0,9", "4", "4") "}", 4, 2, 0},
        {"{\"e\":" T("F32", "9223372036854775807,9223372036854775807,0", "0", "0") "}", 0, 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char bytes[512];
        struct sqa_safetensors f;
        struct sqa_err err = {0};
        const size_t n = st_bytes(bytes, rows[i].header, rows[i].data);
        assert_ok(sqa_safetensors_parse("mem", bytes, n, &f, &err), &err);
        assert_int_equal(f.n, rows[i].n);
        assert_int_equal(f.nmeta, rows[i].nmeta);
        for (size_t t = 0; t < f.n; t++)
            assert_int_equal((uintptr_t)f.tensors[t].data % sqa_dtype_size(f.tensors[t].dtype), 0);
        sqa_safetensors_clear(&f);
        for (size_t cut = 0; cut < n; cut++)
            if (cut != n - 1 || rows[i].data || rows[i].n || rows[i].nmeta)
                assert_int_equal(sqa_safetensors_parse("mem", bytes, cut, &f, &err), SQA_INPUT);
    }
}

static void test_safetensors_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *what;
    } rows[] = {
        {"", 0, "begin with {"},
        {"[]", 0, "begin with {"},
        {"{", 0, "JSON"},
        {"{\"a\":1}", 0, "'a'"},
        {"{\"\xff\":1}", 0, "JSON"},
        {"{\"\":" T("U8", "1", "0", "1") "}", 1, "empty"},
        {"{\"a\\u0007\":" T("U8", "1", "0", "1") "}", 1, "control"},
        {"{\"a\":" T("U8", "1", "0", "1") ",\"a\":" T("U8", "1", "0", "1") "}", 1, "duplicate"},
        {"{\"a\":" T("BF16", "1", "0", "2") "}", 2, "BF16"},
        {"{\"a\":" T("F32", "2", "0", "4") "}", 4, "fit"},
        {"{\"a\":" T("F32", "1", "0", "4") "}", 3, "outside"},
        {"{\"a\":" T("F32", "1", "0", "4") "}", 5, "behind"},
        {"{\"a\":" T("F32", "1", "4", "0") "}", 4, "outside"},
        {"{\"a\":" T("F32", "1", "-4", "0") "}", 4, "outside"},
        {"{\"a\":" T("F32", "1", "0.0", "4") "}", 4, "whole numbers"},
        {"{\"a\":" T("F32", "1", "0", "99999999999999999999") "}", 4, "JSON"},
        {"{\"a\":" T("F32", "-1", "0", "4") "}", 4, "sizes"},
        {"{\"a\":" T("F32", "1.5", "0", "4") "}", 4, "sizes"},
        {"{\"a\":" T("F32", "1,1,1,1,1,1,1", "0", "4") "}", 4, "7 dimensions"},
        {"{\"a\":" T("F32", "4611686018427387904,4", "0", "0") "}", 0, "fit"},
        {"{\"a\":" T("F32", "1", "0", "4") ",\"b\":" T("F32", "1", "2", "6") "}", 6, "overlap"},
        {"{\"a\":" T("F32", "1", "0", "4") ",\"b\":" T("F32", "1", "0", "4") "}", 4, "overlap"},
        {"{\"a\":" T("F32", "1", "0", "4") ",\"b\":" T("F32", "1", "8", "12") "}", 12, "hole"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "exactly"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}", 1, "exactly"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", 1, "array"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1, "two whole"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "not a text"},
        {"{\"__metadata__\":[]}", 0, "not an object"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char bytes[512];
        struct sqa_safetensors f;
        struct sqa_err err = {0};
        const size_t n = st_bytes(bytes, rows[i].header, rows[i].data);
        assert_int_equal(sqa_safetensors_parse("mem", bytes, n, &f, &err), SQA_INPUT);
        if (strncmp(err.text, "mem: ", 5) != 0 || !strstr(err.text, rows[i].what))
            fail_msg("row %zu: %s", i, err.text);
    }
    enum { DEEP = 100000 };
    char *deep = sqa_alloc(8 + DEEP);
    struct sqa_safetensors f;
    struct sqa_err err = {0};
    assert_non_null(deep);
    memset(deep + 8, '[', DEEP);
    memcpy(deep + 8, "{\"a\":", 5);
    for (size_t i = 0; i < 8; i++)
        deep[i] = (char)((size_t)DEEP >> 8 * i);
    assert_int_equal(sqa_safetensors_parse("mem", deep, 8 + DEEP, &f, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "depth"));
    memset(deep, 255, 8); /* a header length of 2^64 - 1 */
    assert_int_equal(sqa_safetensors_parse("mem", deep, 8 + DEEP, &f, &err), SQA_INPUT);
    sqa_free(deep);
}

static void test_safetensors_round_trip(void **state)
{
    (void)state;
    static const float f32[] = {1, -0.0f, 3};
    static const double f64[] = {1.0 / 3};
    static const int32_t i32[] = {INT32_MIN, 7};
    static const unsigned char u8[] = {1, 2, 3};
    const struct sqa_named tensors[] = {
        {"bytes", SQA_U8, 1, {3}, u8},       {"reals \xc3\xa9 \"q\"", SQA_F32, 2, {3, 1}, f32},
        {"empty", SQA_F32, 2, {3, 0}, NULL}, {"ints", SQA_I32, 1, {2}, i32},
        {"scalar", SQA_F64, 0, {0}, f64},
    };
    const struct sqa_metadata meta[] = {{"format", "seqarena"}, {"empty", ""}};
    struct sqa_err err = {0};
    struct sqa_safetensors f;
    assert_ok(sqa_safetensors_write(path, tensors, 5, meta, 2, &err), &err);
    assert_ok(sqa_safetensors_read(path, &f, &err), &err);
    assert_int_equal(f.n, 5);
    assert_string_equal(sqa_safetensors_meta(&f, "format"), "seqarena");
    assert_null(sqa_safetensors_meta(&f, "other"));
    assert_null(sqa_safetensors_find(&f, "other"));
    for (size_t i = 0; i < 5; i++) {
        const struct sqa_named *t = sqa_safetensors_find(&f, tensors[i].name);
        assert_non_null(t);
        assert_true(t->dtype == tensors[i].dtype && t->rank == tensors[i].rank);
        const char *data = t->data;
        assert_true((tensors[i].dtype == SQA_U8) || (data >= f.bytes && data <= f.bytes + f.size)); /* not copied */
        size_t bytes = sqa_dtype_size(t->dtype);
        for (int d = 0; d < t->rank; d++)
            bytes *= (size_t)t->dim[d];
        if (bytes)
            assert_memory_equal(t->data, tensors[i].data, bytes);
    }
    sqa_safetensors_clear(&f);

    const struct sqa_named twice[] = {tensors[0], tensors[0]};
    const struct sqa_named reserved = {"__metadata__", SQA_U8, 1, {3}, u8}, latin = {"\xe9", SQA_U8, 1, {3}, u8};
    assert_int_equal(sqa_safetensors_write(path, twice, 2, NULL, 0, &err), SQA_INPUT);
    assert_int_equal(sqa_safetensors_write(path, &reserved, 1, NULL, 0, &err), SQA_INPUT);
    assert_int_equal(sqa_safetensors_write(path, &latin, 1, NULL, 0, &err), SQA_INPUT);
    assert_ok(sqa_safetensors_read(path, &f, &err), &err); /* the old file is still whole */
    sqa_safetensors_clear(&f);
}

/* ---- checkpoint ---- */

static void make_store(struct sqa_store *s, enum sqa_dtype real, uint64_t seed, int64_t width, bool more)
{
    const struct sqa_init init = {.kind = SQA_INIT_NORMAL, .a = 0, .b = 1};
    struct sqa_err err = {0};
    sqa_store_init(s, real, seed);
    assert_non_null(
        sqa_store_declare(s, "w", SQA_PARAMETER, SQA_GROUP_REGULAR, 2, (int64_t[]){5, width}, init, &err));
    assert_non_null(sqa_store_declare(s, "b", SQA_PARAMETER, SQA_GROUP_NO_DECAY, 1, (int64_t[]){width}, init, &err));
    assert_non_null(sqa_store_declare(s, "mean", SQA_STATE, SQA_GROUP_REGULAR, 0, NULL, init, &err));
    if (more)
        assert_non_null(sqa_store_declare(s, "c", SQA_PARAMETER, SQA_GROUP_REGULAR, 1, (int64_t[]){3}, init, &err));
    assert_ok(sqa_store_seal(s, true, &err), &err);
}

/* Values that no arithmetic would restore: NaN with a payload, denormals, negative zero. */
static void make_odd(struct sqa_store *s)
{
    static const uint32_t odd[] = {0x7fc01234, 0x00000001, 0x80000000, 0xff800000, 0x7f800001};
    for (const struct sqa_entry *e = s->first; e; e = e->next) {
        memcpy(e->value, odd, e->count < 5 ? 4 : sizeof odd);
        if (e->kind == SQA_PARAMETER) {
            memcpy(e->m, &odd[1], 4);
            memcpy(e->v, &odd[2], 4);
        }
    }
}

static void test_checkpoint_bits(void **state)
{
    (void)state;
    struct sqa_store a, b;
    struct sqa_err err = {0};
    struct sqa_safetensors f;
    const struct sqa_metadata meta[] = {{"step", "17"}};
    make_store(&a, SQA_F32, 1, 7, false);
    make_store(&b, SQA_F32, 2, 7, false);
    make_odd(&a);
    const size_t bytes = sqa_store_snapshot_bytes(&a), block = (size_t)a.parameter_block * sizeof(float);
    float *best = sqa_alloc(bytes), *again = sqa_alloc(bytes);
    assert_true(best && again);
    sqa_store_take(&a, best);
    best[3] = 42;
    assert_ok(sqa_checkpoint_write(path, &a, 1, best, meta, 1, &err), &err);
    assert_ok(sqa_checkpoint_read(path, &b, 1, again, &f, &err), &err);
    assert_string_equal(sqa_safetensors_meta(&f, "step"), "17");
    sqa_safetensors_clear(&f);
    assert_memory_equal(a.values, b.values, block);
    assert_memory_equal(a.m, b.m, block);
    assert_memory_equal(a.v, b.v, block);
    assert_memory_equal(a.states, b.states, (size_t)a.state_block * sizeof(float));
    assert_memory_equal(best, again, bytes);

    assert_ok(sqa_checkpoint_write(other, &b, 1, again, meta, 1, &err), &err);
    char *x, *y;
    size_t nx, ny;
    assert_ok(sqa_file_read(path, 1 << 20, &x, &nx, &err), &err);
    assert_ok(sqa_file_read(other, 1 << 20, &y, &ny, &err), &err);
    assert_int_equal(nx, ny);
    assert_memory_equal(x, y, nx);
    sqa_free(x);
    sqa_free(y);
    sqa_free(best);
    sqa_free(again);
    sqa_store_clear(&a);
    sqa_store_clear(&b);
}

static void test_checkpoint_other_type(void **state)
{
    (void)state;
    struct sqa_store a, b, c;
    struct sqa_err err = {0};
    make_store(&a, SQA_F32, 1, 7, false);
    make_store(&b, SQA_F64, 2, 7, false);
    make_store(&c, SQA_F32, 3, 7, false);
    assert_ok(sqa_checkpoint_write(path, &a, 0, NULL, NULL, 0, &err), &err);
    assert_ok(sqa_checkpoint_read(path, &b, 0, NULL, NULL, &err), &err);
    assert_ok(sqa_checkpoint_write(path, &b, 1, NULL, NULL, 0, &err), &err);
    assert_ok(sqa_checkpoint_read(path, &c, 0, NULL, NULL, &err), &err);
    assert_memory_equal(a.values, c.values, (size_t)a.parameter_block * sizeof(float));
    assert_int_equal(sqa_checkpoint_read(path, &c, 1, NULL, NULL, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "f64"));
    sqa_store_clear(&a);
    sqa_store_clear(&b);
    sqa_store_clear(&c);
}

static void test_checkpoint_refused(void **state)
{
    (void)state;
    struct sqa_store a, wide, more, unsealed;
    struct sqa_err err = {0};
    struct sqa_safetensors f;
    make_store(&a, SQA_F32, 1, 7, false);
    make_store(&wide, SQA_F32, 2, 8, false);
    make_store(&more, SQA_F32, 3, 7, true);
    sqa_store_init(&unsealed, SQA_F32, 1);
    const size_t bytes = (size_t)wide.parameter_block * sizeof(float);
    float *before = sqa_alloc(bytes);
    assert_non_null(before);
    memcpy(before, wide.values, bytes);
    assert_ok(sqa_checkpoint_write(path, &a, 0, NULL, NULL, 0, &err), &err);
    assert_int_equal(sqa_checkpoint_read(path, &wide, 0, NULL, &f, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "'w' is (5, 7), the model has (5, 8)"));
    assert_memory_equal(before, wide.values, bytes);
    assert_int_equal(sqa_checkpoint_read(path, &more, 0, NULL, NULL, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "no tensor 'c'"));
    assert_int_equal(sqa_checkpoint_read(path, &a, 1, NULL, NULL, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "no tensor 'm:w'"));
    assert_int_equal(sqa_checkpoint_read(path, &wide, 0, before, NULL, &err), SQA_INPUT);
    assert_int_equal(sqa_checkpoint_read(path, &unsealed, 0, NULL, NULL, &err), SQA_UNSUPPORTED);
    assert_ok(sqa_checkpoint_write(path, &more, 1, NULL, NULL, 0, &err), &err);
    assert_int_equal(sqa_checkpoint_read(path, &a, 0, NULL, NULL, &err), SQA_INPUT);
    assert_non_null(strstr(err.text, "'c' has no place"));
    sqa_free(before);
    sqa_store_clear(&a);
    sqa_store_clear(&wide);
    sqa_store_clear(&more);
    sqa_store_clear(&unsealed);
}

/* ---- failing allocations: a sentence, nothing lost, the store as it was ---- */

static void test_allocation_failures(void **state)
{
    (void)state;
    static const double values[] = {1, 2};
    struct sqa_store a, b;
    struct sqa_npy npy = {0};
    struct sqa_err err = {0};
    make_store(&a, SQA_F32, 1, 7, false);
    make_store(&b, SQA_F32, 2, 7, false);
    const size_t bytes = (size_t)a.parameter_block * sizeof(float);
    float *before = sqa_alloc(bytes);
    assert_non_null(before);
    memcpy(before, b.values, bytes);
    assert_ok(sqa_checkpoint_write(path, &a, 1, NULL, NULL, 0, &err), &err);
    enum sqa_status status = SQA_NOMEM;
    for (long n = 1; status != SQA_OK; n++) {
        sqa_alloc_fail_at(n);
        status = sqa_checkpoint_read(path, &b, 1, NULL, NULL, &err);
        sqa_alloc_fail_at(0);
        assert_true(status == SQA_OK || status == SQA_NOMEM);
        if (status != SQA_OK)
            assert_memory_equal(before, b.values, bytes);
    }
    status = SQA_NOMEM;
    for (long n = 1; status != SQA_OK; n++) {
        sqa_alloc_fail_at(n);
        status = sqa_checkpoint_write(path, &b, 1, NULL, NULL, 0, &err);
        sqa_alloc_fail_at(0);
        assert_true(status == SQA_OK || status == SQA_NOMEM);
    }
    status = SQA_NOMEM;
    for (long n = 1; status != SQA_OK; n++) {
        sqa_alloc_fail_at(n);
        status = sqa_npy_write(path, "f8", 1, (const int64_t[]){2}, values, &err);
        if (status == SQA_OK)
            status = sqa_npy_read(path, &npy, &err);
        sqa_alloc_fail_at(0);
        assert_true(status == SQA_OK || status == SQA_NOMEM);
    }
    sqa_npy_clear(&npy);
    sqa_free(before);
    sqa_store_clear(&a);
    sqa_store_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_npy_types),
        cmocka_unit_test(test_npy_refused),
        cmocka_unit_test(test_npy_round_trip),
        cmocka_unit_test(test_npy_in_pieces),
        cmocka_unit_test(test_safetensors_accepted),
        cmocka_unit_test(test_safetensors_refused),
        cmocka_unit_test(test_safetensors_round_trip),
        cmocka_unit_test(test_checkpoint_bits),
        cmocka_unit_test(test_checkpoint_other_type),
        cmocka_unit_test(test_checkpoint_refused),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
