# Thin: everything is in build/bootstrap.py, which runs without make too.
PYTHON ?= $(shell command -v python3.11 || command -v python3)

.PHONY: demo test quick bench lint dev lock clean
demo test quick bench lint dev lock clean:
	@$(PYTHON) build/bootstrap.py $@
