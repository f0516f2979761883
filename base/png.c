/* png.c - see png.h */
#include "base/png.h"

#include <png.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

enum { PNG_FAILED = 2 }; /* in warning_or_error; 1 is a warning */

enum sqa_status sqa_png_gray(const char *name, const void *bytes, size_t size, int width, int height, uint8_t *gray,
                             struct sqa_err *err)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (size == 0)
        return sqa_fail(err, SQA_INPUT, "%s: empty, not a picture; copy it again", name);
    if (!png_image_begin_read_from_memory(&image, bytes, size))
        return sqa_fail(err, SQA_INPUT, "%s: no PNG picture (%s); copy it again", name, image.message);
    enum sqa_status status = SQA_OK;
    if (image.format & (PNG_FORMAT_FLAG_COLOR | PNG_FORMAT_FLAG_ALPHA | PNG_FORMAT_FLAG_LINEAR))
        status =
            sqa_fail(err, SQA_INPUT, "%s: a PNG picture with colour, alpha or 16 bits; save it as 8-bit gray", name);
    else if (image.width != (png_uint_32)width || image.height != (png_uint_32)height)
        status = sqa_fail(err, SQA_INPUT, "%s: %u x %u pixels instead of %d x %d; check the size asked for", name,
                          (unsigned)image.width, (unsigned)image.height, width, height);
    if (status != SQA_OK) {
        png_image_free(&image);
        return status;
    }
    image.format = PNG_FORMAT_GRAY;
    if (!png_image_finish_read(&image, NULL, gray, 0, NULL) || (image.warning_or_error & PNG_FAILED))
        return sqa_fail(err, SQA_INPUT, "%s: a broken PNG picture (%s); copy it again", name, image.message);
    return SQA_OK;
}

enum sqa_status sqa_png_write(const char *path, int width, int height, int channels, const uint8_t *pixels,
                              struct sqa_err *err)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    void *bytes = sqa_alloc(size);
    if (!bytes)
        return sqa_fail(err, SQA_NOMEM, "%s: no memory for a picture of %d x %d; make it smaller", path, width,
                        height);
    enum sqa_status status = SQA_OK;
    if (!png_image_write_to_memory(&image, bytes, &size, 0, pixels, 0, NULL))
        status = sqa_fail(err, SQA_MACHINE, "%s: the picture could not be made (%s); make it smaller", path,
                          image.message);
    else
        status = sqa_file_write(path, bytes, size, err);
    sqa_free(bytes);
    return status;
}
