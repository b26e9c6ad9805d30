# The verbs of the project; CI calls the same ones. `make` alone lists them.

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
APPLICATIONS := customer-service financial-sentiment recommender vision

.PHONY: help setup serve ocr $(APPLICATIONS) test test-applications test-system check fix bench docs lock clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make the virtual environment (quick, and without network, when nothing changed)
	@sh scripts/setup.sh $(VENV)

serve: setup ## build the quickstart models and serve them (ARGS="--port 9000 ...")
	@$(BIN)/python -m examples.quickstart.build --out .quickstart
	@exec $(BIN)/inferd serve .quickstart $(ARGS)

customer-service: ## prepare the voice customer service and serve it (ARGS="--port 9000 ...")
financial-sentiment: ## prepare the financial sentiment monitor and serve it
recommender: ## prepare the film recommender and serve it
vision: ## prepare the image classifier and serve it

ocr: setup ## prepare the OCR pipeline and serve it (ARGS="--port 9000 ...")
	@$(BIN)/python -m examples.ocr.build --out .ocr
	@exec $(BIN)/inferd serve .ocr $(ARGS)

# Each prepares itself in a directory of its name, .vision say, and is served from there.
$(APPLICATIONS): setup
	@$(BIN)/python -m examples.$(subst -,_,$@).prepare --out .$@
	@exec $(BIN)/inferd serve .$@ $(ARGS)

test: setup ## run the tests (ARGS="-k name ...")
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-applications: setup ## prepare the applications of examples/ and ask them, in a browser too
	$(BIN)/python -m pytest -m applications $(ARGS)

test-system: setup ## run the long tests: real servers under load and faults
	$(BIN)/python -m pytest -m system $(ARGS)

check: setup ## lint, formatting, types, floors; edits nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: setup ## let the tools repair what they can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## measure inferd beside its ceilings and its peers; writes benchmarks/results.md
	$(BIN)/python -m benchmarks.run $(ARGS)

docs: setup ## write the generated tables of docs/ anew
	$(BIN)/python scripts/docs.py

lock: setup ## resolve requirements.lock anew (everything but torch)
	$(BIN)/pip install --quiet 'uv>=0.5'
	$(BIN)/uv pip compile pyproject.toml constraints/torch-needs.in \
		--extra audio --extra genai --extra grpc --extra image --extra pandas --extra text --extra tracing --extra whisper \
		--extra applications --extra quickstart --extra notebook --extra ocr \
		--extra bench --extra dev \
		--universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade \
		--quiet --output-file requirements.lock
	@! grep -qE '^torch==' requirements.lock || { echo "torch must stay out of the lock"; exit 1; }

clean: ## remove what was built and cached; the virtual environment stays
	rm -rf .quickstart .ocr $(APPLICATIONS:%=.%) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build
	find src tests examples benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
