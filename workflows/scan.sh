#!/usr/bin/env bash
# Scan a folder of images, wait for you to fill in what is missing, then package.
#
#   workflows/scan.sh ROOT STUDY OUTPUT_DIR [further options of `spimpack init --scan`]
#
# The first call writes manifest and tables into STUDY. As long as they have gaps, this stops with a
# list of them; fill them in and call it again. Nothing below ROOT is touched.
set -euo pipefail

root=${1:?usage: scan.sh ROOT STUDY OUTPUT_DIR [OPTIONS]}
study=${2:?usage: scan.sh ROOT STUDY OUTPUT_DIR [OPTIONS]}
output=${3:?usage: scan.sh ROOT STUDY OUTPUT_DIR [OPTIONS]}

if [ ! -e "$study/manifest.yml" ]; then
    spimpack init "$study" --scan "$root" "${@:4}"
fi
"$(dirname "$0")/local.sh" "$study/manifest.yml" "$output"
