# `make test` and `make lint` need nothing but Python: they make their own .venv.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.ready

.PHONY: test lint demo format clean
$(STAMP): pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[report,tensorboard,timm,onnx,mat,gallery,milvus,server,video,test,lint]'
	touch $@

test: $(STAMP)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2  # two workers that share two cores: one thread each

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
