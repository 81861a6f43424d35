# make demo   create .venv, install, and run the main job: out/demo.mp4, out/demo.png; then a recording,
#             out/call.mp4 to out/call_closeup.mp4
# make test   install what tests need; format check, lint, strict types, tests
# make test-versions  tests of what depends on others, with the oldest and the newest versions allowed;
#             VERSIONS="--where-possible --minutes 30" skips those that cannot be fetched, or come later
# make format mend format and lint

PYTHON ?= python3
BIN := .venv/bin
SOURCES := stream engines calibration bench examples tests run_pipeline.py

# Files whole, because tests of one share what is expensive to make; in the order of tests/conftest.py.
# A test that hangs ends its process (pyproject.toml): not again and again.
BY_FILE := --dist loadfile --no-loadscope-reorder --max-worker-restart 2
# tests by the clock that were too slow beside others, once more without them
ALONE := --last-failed --last-failed-no-failures none

# what OpenCV loads, and MediaPipe where it detects faces; desktops have them, bare servers and containers may not
LIBRARIES := libGL.so.1 libgthread-2.0.so.0 libEGL.so.1 libGLESv2.so.2
DEBIAN := libgl1 libglib2.0-0 libegl1 libgles2
CLIENTS := chromium firefox-esr gst-inspect-1.0 turnserver nginx ip
CLIENT_PACKAGES := chromium firefox-esr coturn nginx-light iproute2 python3-gst-1.0 gir1.2-gst-plugins-bad-1.0 \
	gstreamer1.0-tools gstreamer1.0-nice gstreamer1.0-plugins-bad gstreamer1.0-plugins-good

.PHONY: demo test test-versions format clean system system-test

demo: .venv/installed
	$(BIN)/python run_pipeline.py --input demo
	$(BIN)/python -m stream.media.demo out/call.mp4 --seconds 6 --overwrite
	$(BIN)/python run_pipeline.py --input out/call.mp4 --output out/call_closeup.mp4 --overwrite

test: .venv/installed-test | system-test
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	@# Hundreds of processes that tests start would else compile all of it, where Python is told not to.
	$(BIN)/python -m compileall -q $(SOURCES)
	$(BIN)/pytest -m "not real_time" -n 2 $(BY_FILE)
	$(BIN)/pytest -m real_time -n 3 $(BY_FILE) || $(BIN)/pytest -m real_time $(ALONE)

test-versions: .venv/installed-test
	$(BIN)/python -m tests.dependency_versions $(VERSIONS)

format: .venv/installed-test
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

clean:
	rm -rf .venv .venv-versions out build *.egg-info .mypy_cache .ruff_cache .pytest_cache

.venv/installed: pyproject.toml | system
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/installed-test: pyproject.toml | system
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[train,test]"
	touch $@ .venv/installed

# On Debian and its relatives: install the missing libraries if we may, else say which.
system:
	@command -v apt-get >/dev/null && command -v ldconfig >/dev/null || exit 0; \
	for library in $(LIBRARIES); do ldconfig -p | grep -qF "$$library" || missing=1; done; \
	test -z "$$missing" && exit 0; \
	if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq $(DEBIAN); \
	else echo "error: libraries are missing; run: sudo apt-get install -y $(DEBIAN)" >&2; exit 1; fi

# Browsers and other clients for the tests of the relay. Without one its tests skip, and say so.
system-test: system
	@for program in $(CLIENTS); do command -v $$program >/dev/null || missing=1; done; \
	test -z "$$missing" && exit 0; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	apt-get update -qq && apt-get install -y -qq --no-install-recommends $(CLIENT_PACKAGES); \
	else echo "note: tests with missing clients skip; on Debian: sudo apt-get install $(CLIENT_PACKAGES)" >&2; fi
