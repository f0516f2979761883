# make          builds build/seqarena          make demo     the whole job in minutes, from nothing
# make check    every test                     make deps     installs the Debian packages below
# make install  DESTDIR= PREFIX=               make asan ubsan format-check layers headers fuzz check-kill
# make bench    ops against this machine       make bench-peer  against PyTorch and ONNX Runtime

B      ?= build
PREFIX ?= /usr/local
CC     ?= cc

# package                what it is for
define PACKAGES
gcc                      compiler
libc6-dev                headers of the C library
make                     this file
libopenblas-dev          matrix products
libdnnl-dev              matrix products in bf16 on AMX and AVX512-BF16 (oneDNN)
libcsv-dev               CSV files
libpcre2-dev             patterns
libhwloc-dev             topology and binding
libpapi-dev              hardware and software counters
libjansson-dev           JSON
libinih-dev              recipe files
libxxhash-dev            keys of cells, plans and builds
libpng-dev               pictures: released Pathfinder sets, contact sheets
libssl-dev               SHA-256 of data files
zlib1g-dev               images that are packed with gzip (MNIST)
libzip-dev               arrays in .npz files (PEMS)
libbenchmark-tools       compare.py, which must read our Google Benchmark JSON (tests)
libcmark-gfm-dev         HTML and LaTeX of what is written in Markdown
libcmark-gfm-extensions-dev  the same: tables
gnuplot-nox              plots; reports work without it, and say what is missing
librsvg2-bin             plots as PDF
libcmocka-dev            unit tests
valgrind                 counts of instructions (bench --count); the build works without it
endef
export PACKAGES

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdouble-promotion -Wstrict-prototypes -Wmissing-prototypes \
        -Wwrite-strings -Wcast-qual -Wundef -Wvla
ifdef CI
WARN += -Werror
endif
OPT     ?= -O2 -g
COMMIT  := $(shell git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)
CFLAGS_ALL = -std=c17 -D_GNU_SOURCE $(WARN) $(OPT) -fopenmp -ffp-contract=off -I. -I$(B) $(CFLAGS)
LIBS    = -lopenblas -ldnnl -lcsv -lpcre2-8 -lhwloc -lpapi -ljansson -linih -lpng -lxxhash -lcrypto -lzip -lz \
          -lcmark-gfm -lcmark-gfm-extensions -lm
LDFLAGS_ALL = -fopenmp $(LDFLAGS)

PLAIN   := $(sort $(wildcard kernels/plain/*.c))
SIMD    := $(sort $(wildcard kernels/simd/*.c))
BF16    := $(sort $(wildcard kernels/simd/attention_bf16*.c kernels/simd/gemm_panels_bf16.c))
COMMON  := $(sort $(wildcard base/*.c kernels/*.c engine/*.c engine/ops/*.c models/*.c tasks/*.c results/*.c reports/*.c \
             harness/measure/*.c))
HARNESS := $(sort $(wildcard harness/*.c))
MAIN    := harness/main.c
LIB_OBJ := $(COMMON:%.c=$(B)/%.o) $(PLAIN:%.c=$(B)/%.f32.o) $(PLAIN:%.c=$(B)/%.f64.o) \
           $(SIMD:%.c=$(B)/%.avx2.o) $(SIMD:%.c=$(B)/%.avx512.o) $(SIMD:%.c=$(B)/%.nofma.o) \
           $(BF16:%.c=$(B)/%.avx512bf16.o) $(BF16:%.c=$(B)/%.amx.o) \
           $(patsubst %.c,$(B)/%.o,$(filter-out $(MAIN),$(HARNESS)))
TESTS   := $(sort $(wildcard tests/test_*.c))
FUZZERS := $(sort $(wildcard tests/fuzz_*.c))
test_programs = $(TESTS:tests/%.c=$(1)/tests/%) $(FUZZERS:tests/fuzz_%.c=$(1)/tests/replay_%)
LISTS   := $(B)/variants.inc $(B)/tasks.inc $(B)/ops.inc $(B)/commit.inc $(B)/page_css.inc $(B)/page_js.inc

# V=1 shows whole command lines.
say = $(if $(V),,@echo '  $(1)  $@';)

.PHONY: all deps demo check check-unit check-cli check-kill check-pathfinder bench bench-peer install asan ubsan format format-check layers fuzz clean headers \
        FORCE
all: $(B)/seqarena

# Every list comes from the sources: a registered struct is an entry.
$(B)/variants.inc: FORCE | $(B)
	@sed -n 's/^const struct sqa_variant sqa_variant_\([a-z0-9_]*\) = {$$/X(\1)/p' $(sort $(wildcard models/*.c)) >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(B)/tasks.inc: FORCE | $(B)
	@sed -n 's/^const struct sqa_task sqa_task_\([a-z0-9_]*\) = {$$/X(\1)/p' $(sort $(wildcard tasks/*.c)) >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(B)/ops.inc: FORCE | $(B)
	@sed -n 's/^const struct sqa_op sqa_op_\([a-z0-9_]*\) = {.*/X(\1)/p' engine/graph.c $(sort $(wildcard engine/ops/*.c)) >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(B)/commit.inc: FORCE | $(B)
	@echo '"$(COMMIT)"' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
# Style and script of HTML pages: a string a line.
$(B)/page_%.inc: reports/page.% | $(B)
	@sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n",/' $< >$@
$(B):
	@mkdir -p $@

$(B)/seqarena: $(B)/harness/main.o $(LIB_OBJ)
	$(call say,LD)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)
$(B)/kernels/plain/%.f32.o: kernels/plain/%.c | $(LISTS)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CFLAGS_ALL) -DSQA_REAL=float -DSQA_REAL_NAME=f32 -MMD -MP -c -o $@ $<
$(B)/kernels/plain/%.f64.o: kernels/plain/%.c | $(LISTS)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CFLAGS_ALL) -DSQA_REAL=double -DSQA_REAL_NAME=f64 -MMD -MP -c -o $@ $<
# Each file of kernels/simd once for every instruction set; pair is linked into tests only (kernels/simd/vec.h).
ISA_avx2   := -mavx2 -mfma -DSQA_WIDTH=8
ISA_nofma  := -mavx2 -DSQA_WIDTH=8
ISA_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -DSQA_WIDTH=16
# Processors with units for bf16: of the files that use tiles only (kernels/simd/tiles.h).
ISA_avx512bf16 := $(ISA_avx512) -mavx512bf16
ISA_amx    := $(ISA_avx512bf16) -mamx-tile -mamx-bf16
ISA_pair   := -mavx2 -mfma -DSQA_WIDTH=16
define simd_rule
$(B)/kernels/simd/%.$(1).o: kernels/simd/%.c | $(LISTS)
	@mkdir -p $$(@D)
	$$(call say,CC)$$(CC) $$(CFLAGS_ALL) $$(ISA_$(1)) -DSQA_ISA=$(1) -MMD -MP -c -o $$@ $$<
endef
$(foreach isa,avx2 nofma avx512 avx512bf16 amx pair,$(eval $(call simd_rule,$(isa))))
$(B)/harness/measure/environment.o: EXTRA = -DSQA_COMPILER_FLAGS='"$(OPT)"'
$(B)/%.o: %.c | $(LISTS)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CFLAGS_ALL) $(EXTRA) -MMD -MP -c -o $@ $<

.SECONDARY: # objects of tests stay
# Tests that run the 16-wide forms where there is no AVX-512.
PAIR_TESTS := test_kernels test_kernels_attention test_kernels_fft test_kernels_gemm test_kernel_attention \
              test_bf16
$(PAIR_TESTS:%=$(B)/tests/%): $(SIMD:%.c=$(B)/%.pair.o)
$(B)/tests/%: $(B)/tests/%.o $(LIB_OBJ)
	$(call say,LD)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lcmocka
$(B)/tests/replay_%: $(B)/tests/fuzz_%.o $(B)/tests/replay.o $(LIB_OBJ)
	$(call say,LD)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

deps:
	@tests/install-packages.sh $(if $(filter deps,$(MAKECMDGOALS)),--all)

demo: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@tests/demo.sh $(B)/seqarena

check: deps
	@CI=1 $(MAKE) --no-print-directory -j$$(nproc) all $(call test_programs,$(B))
	@tests/check.sh $(B)
check-unit: all $(call test_programs,$(B))
	@tests/check.sh $(B) unit
check-cli: all
	@tests/cli.sh $(B)/seqarena
# A run killed at random moments and continued, KILLS times.
KILLS ?= 50
check-kill: all
	@KILLS=$(KILLS) tests/runs.sh $(B)/seqarena kill
# A small convolutional network learns generated Pathfinder pictures, size 32, easy, to 90 %, from at most PICTURES.
PICTURES ?= 240000
check-pathfinder: $(B)/tests/test_pathfinder_cnn
	@OPENBLAS_NUM_THREADS=1 nice $< $(PICTURES)
# How near the ops come to this machine's own limits.
bench: all
	@mkdir -p results/bench
	@$(B)/seqarena kernels -o results/bench/kernels.csv
# The same models under PyTorch and ONNX Runtime, in turn. PEERS holds their scripts; ORT, when set, is the folder whose
# node_modules has onnxruntime-node. An interrupted comparison goes on where it was; remove the CSV to begin anew.
PEERS  ?= ../shared/peers
ROUNDS ?= 5
bench-peer: all
	@tests/bench-peer.py --seqarena $(B)/seqarena --peers $(PEERS) --rounds $(ROUNDS) $(if $(ORT),--ort $(ORT)) \
	    -o results/peer/f32.csv
layers:
	@tests/layers.sh
headers:
	@tests/headers.sh $(CC) $(B)

# The same rules with other flags and another B: objects never mix.
asan:
	@$(MAKE) --no-print-directory -j$$(nproc) B=build/asan OPT="-O1 -g -fno-omit-frame-pointer -fsanitize=address -fno-sanitize-recover=all" \
	    LDFLAGS=-fsanitize=address build/asan/seqarena $(call test_programs,build/asan)
	@ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0 tests/check.sh build/asan sanitizer
ubsan:
	@$(MAKE) --no-print-directory -j$$(nproc) B=build/ubsan OPT="-O1 -g -fsanitize=undefined -fno-sanitize-recover=all" \
	    LDFLAGS=-fsanitize=undefined build/ubsan/seqarena $(call test_programs,build/ubsan)
	@tests/check.sh build/ubsan sanitizer

FORMAT_FILES = $(shell git ls-files '*.c' '*.h')
format:
	@clang-format -i $(FORMAT_FILES)
format-check:
	@tests/format-check.sh $(FORMAT_FILES)

# Coverage-guided fuzzing with clang: make fuzz SECONDS_EACH=60
SECONDS_EACH ?= 20
fuzz:
	@$(MAKE) --no-print-directory -j$$(nproc) B=build/fuzz CC=clang WARN= \
	    OPT="-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all" LDFLAGS="-fsanitize=fuzzer,address,undefined" \
	    $(FUZZERS:tests/%.c=build/fuzz/tests/%)
	@tests/fuzz.sh build/fuzz $(SECONDS_EACH)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/seqarena/recipes \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 755 $(B)/seqarena $(DESTDIR)$(PREFIX)/bin/seqarena
	install -m 644 $(wildcard recipes/*.ini) $(DESTDIR)$(PREFIX)/share/seqarena/recipes
	@for f in results/tables/*.ini results/claims/*.ini results/published/*.csv models/pytorch/*.py \
	    $$(find results/recorded -type f); do \
	    install -D -m 644 $$f $(DESTDIR)$(PREFIX)/share/seqarena/$$f; done
	$(B)/seqarena completion >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/seqarena

clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
