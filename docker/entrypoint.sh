#!/bin/bash
# Run a command in the sourced workspace.
set -e
source /workspace/install/setup.bash
exec "$@"
