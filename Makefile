# SPDX-License-Identifier: Apache-2.0
# Short names for the commands; meson does the building. Everything lands in build/.
BUILD ?= build/release
JOBS ?= $(shell nproc)
export FERRY_BUILD := $(BUILD)
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help deps build image demo check soak apps clients conformance bench lint model readme-figures clean

help:
	@echo "make demo            the main job, shown and measured (root; under ten minutes);"
	@echo "                     MODEL=file.gguf: with this Llama model in place of its own"
	@echo "make check           all tests, real VMs among them (root; about ten minutes)"
	@echo "make soak [SWITCHES=1000]   a running program's vGPU moves so often, locally; nothing may be left behind"
	@echo "make apps            real OpenCL programs, natively and on a vGPU that moves, and make clients"
	@echo "make clients         OpenAI's own client library with the model server, the same ways"
	@echo "make conformance CTS=DIR   a built Khronos conformance suite, natively and on a vGPU"
	@echo "make bench           benchmarks; some of them: make bench ONLY=\"migrate steady\""
	@echo "                     (mover, remoting, fairness, llm, vm, steady, migrate; tests/bench/run --help says what each is)"
	@echo "make lint            what CI lints"
	@echo "make image           the guest's kernel and initramfs"
	@echo "make model           trains the model of workloads/models again (half an hour)"
	@echo "make readme-figures  remakes docs/figures from the last demo run"
	@echo "make clean           removes build/"

deps:
	@scripts/install-deps

build: deps
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD) $(MESON_ARGS)
	@ninja -C $(BUILD) -j$(JOBS)

# The guest's programs are never the sanitized ones: the guest has no sanitizer libraries.
image: deps
	@[ -f build/release/build.ninja ] || meson setup build/release
	@ninja -C build/release -j$(JOBS)
	@image/build build/image --programs build/release

demo: build image
	@python3 -m demo $(if $(MODEL),"$(MODEL)")

check: build image
	@python3 tests/run

soak: build
	@tests/local-move/soak $(SWITCHES)

# APPS="--ways run hashcat ffmpeg": some of them.
apps: build
	@scripts/install-deps scripts/packages-apps.txt
	@tests/apps/run $(APPS)
	@$(if $(APPS),,$(MAKE) --no-print-directory clients)

clients: build
	@command -v npm >/dev/null || scripts/install-deps scripts/packages-clients.txt
	@tests/clients/run

conformance: build
	@[ -n "$(CTS)" ] || { echo "usage: make conformance CTS=DIR [ARGS=...]; docs/conformance.md"; exit 2; }
	@tests/conformance/run $(CTS) $(ARGS)

bench: build image
	@tests/bench/run $(ONLY)

lint:
	@scripts/install-deps scripts/packages-lint.txt
	@scripts/lint

model: build
	@scripts/install-deps scripts/packages-model.txt
	@workloads/train/make-model $(BUILD)/workloads/train/llm-train build/model

readme-figures:
	@python3 -m demo.figures build/demo/result.json docs/figures

clean:
	rm -rf build
