# The whole workflow. `make run` and `make test` set up what is missing on Debian and Ubuntu by themselves and need
# nothing but Rust and make; elsewhere they say what to install. One profile (release) serves all of them, because the
# libraries below take a quarter of an hour to compile on two cores.

CARGO ?= cargo
# Vulkan and the window's libraries want a private folder for sockets; a session without a login has none.
XDG_RUNTIME_DIR ?= /tmp/hairline-runtime-$(shell id -u)
export XDG_RUNTIME_DIR

.PHONY: help run test lint bench pocket pocket-seg samples setup-run setup-test

help:
	@echo 'make run         inspect the bundled samples: in a window if there is a display, else into hairline-demo/'
	@echo 'make test        all tests'
	@echo 'make lint        formatting and clippy, warnings denied'
	@echo 'make bench       measure speed'
	@echo 'make pocket      train the embedded model again (hours)'
	@echo 'make pocket-seg  train its decoder for segmentation again (ten minutes)'
	@echo 'make samples     draw the bundled sample photos again'

run: setup-run
	$(CARGO) run --release -- demo

# Autotuning kernels on a software adapter would take longer than the tests.
test: setup-test
	CUBECL_AUTOTUNE_LEVEL=minimal $(CARGO) test --release

lint: setup-test
	$(CARGO) fmt --check
	$(CARGO) clippy --release --all-targets -- -D warnings

bench: setup-test
	$(CARGO) bench

# glibc's allocator hands large blocks back to the system and fetches them anew at every step; keeping them trains half
# again as fast. One thread for an operation (`pocket` gives each half of a batch one), because the last bits of a sum depend
# on how many share it.
pocket pocket-seg: setup-test
	MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=268435456 RAYON_NUM_THREADS=1 \
		$(CARGO) run --release --example $(subst -,_,$@)

samples: setup-test
	$(CARGO) run --release --example samples -- assets/samples

setup-run setup-test:
	@.ci/packages $(patsubst setup-%,%,$@)
	@mkdir -p -m 700 $(XDG_RUNTIME_DIR)
