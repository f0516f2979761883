/* version.h - what the program calls itself */
#ifndef SQA_HARNESS_VERSION_H
#define SQA_HARNESS_VERSION_H

#define SQA_VERSION "0.1.0"

extern const char *const sqa_commit; /* of the sources, with -dirty when they differ from it; "unknown" without git */
const char *sqa_build_id(void);      /* hash of the running program, in hex */

#endif
