#!/usr/bin/env bash
# Check, plan and package on this machine.
#
#   workflows/local.sh MANIFEST OUTPUT_DIR [WORKERS] [further options of `spimpack package`]
#
# It stops before anything is written if the inputs are wrong, or if something of yours is where
# an output belongs. Run it again after every change of the tables.
set -euo pipefail

manifest=${1:?usage: local.sh MANIFEST OUTPUT_DIR [WORKERS] [OPTIONS]}
output=${2:?usage: local.sh MANIFEST OUTPUT_DIR [WORKERS] [OPTIONS]}
workers=${3:-1}
options=("${@:4}")

inputs=(--manifest "$manifest" --output-dir "$output" ${options[@]+"${options[@]}"})
spimpack validate "${inputs[@]}"
spimpack plan "${inputs[@]}"
spimpack package "${inputs[@]}" --workers "$workers"
