/* version.h - what the program calls itself */
#ifndef SQA_HARNESS_VERSION_H
#define SQA_HARNESS_VERSION_H

#define SQA_VERSION "0.1.0"
#ifndef SQA_COMMIT
#define SQA_COMMIT "unknown"
#endif

#endif
