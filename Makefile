# make demo [INPUT=image|folder|video|bag] [TOPIC=/camera/image_raw]   see a de-raining node at work
# make test                                                      run every check
# make bench                                                     speed of network and node
PYTHON ?= python3
VENV := .venv
export PYTHONPATH := $(CURDIR):$(PYTHONPATH)

# A ROS that is sourced is used; elsewhere it comes from wheels, which do not go together with it.
ifeq ($(shell $(PYTHON) -c 'import rclpy' 2>/dev/null && echo yes),yes)
VENV := .venv-ros
VENV_OPTIONS := --system-site-packages
ROS := $(addprefix -c ,$(wildcard requirements/constraints-$(ROS_DISTRO).txt))
else
ROS := -r requirements/ros.txt
endif

.PHONY: demo test bench clean

demo: $(VENV)/demo.ready
	@$(VENV)/bin/python demo/demo.py $(if $(INPUT),--input '$(INPUT)') $(if $(TOPIC),--topic '$(TOPIC)')

# Two processes, because the tests of ROS mostly wait.
test: $(VENV)/test.ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile

bench: $(VENV)/test.ready
	$(VENV)/bin/python benchmarks/speed.py
	$(VENV)/bin/python benchmarks/node_overhead.py

clean:
	rm -rf $(VENV) demo_out

$(VENV)/%.ready: requirements/*.txt
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv --clear $(VENV_OPTIONS) $(VENV)
	@echo 'Installing what $* needs into $(VENV); the first time this takes a few minutes.'
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements/$*.txt $(ROS)
	@touch $@
