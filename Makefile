# Every target needs nothing but Python: the first one makes .venv.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.ready

EXTRAS := report,tensorboard,distributed,timm,imagenet,adapt,onnx,export,openvino,ray,mat,gallery,milvus,server,video,test,lint,docs

.PHONY: test coverage mutate bench lint docs demo format clean
$(STAMP): pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

test: $(STAMP)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2 --dist worksteal --durations 15  # two workers that share two cores: one thread each

coverage: $(STAMP)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2 --dist worksteal --cov=unveil --cov-report=json:build/coverage.json
	$(VENV)/bin/python scripts/coverage_page.py build/coverage.json

mutate: $(STAMP)
	$(VENV)/bin/python scripts/mutate.py --minutes 60

bench: $(STAMP)
	$(VENV)/bin/python scripts/bench.py

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

demo: $(STAMP)
	$(VENV)/bin/unveil demo --out demo

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(STAMP)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
