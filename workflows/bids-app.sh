#!/usr/bin/env bash
# Package inputs with the command line of a BIDS App, such as in a container.
#
#   bids-app.sh INPUT_DIR OUTPUT_DIR participant|group [--participant-label LABEL...]
#       [--n-cpus N] [--study FILE] [further options of `spimpack package`]
#
# INPUT_DIR holds manifest.yml with its tables, and is only read; the dataset goes to OUTPUT_DIR.
#   participant   package the images, those of the given subjects only if there are labels
#   group         package all images, then let the official validator check the dataset
# With --study, the study of that name in INPUT_DIR is run in place of both. Its results go where it
# says, so its folder must be writable.
set -euo pipefail

usage='usage: bids-app.sh INPUT_DIR OUTPUT_DIR participant|group [OPTIONS]'
input=${1:?$usage}
output=${2:?$usage}
level=${3:?$usage}
shift 3
workers=1
study=
subjects=()
options=()
while [ $# -gt 0 ]; do
    case $1 in
    --participant-label | --participant_label)
        shift
        while [ $# -gt 0 ] && [[ $1 != --* ]]; do
            subjects+=("${1#sub-}")
            shift
        done
        ;;
    --n-cpus | --n_cpus)
        workers=${2:?"$1 needs a number"}
        shift 2
        ;;
    --study)
        study=${2:?"$1 needs a name"}
        shift 2
        ;;
    *)
        options+=("$1")
        shift
        ;;
    esac
done

if [ -n "$study" ]; then
    exec spimpack run "$input/$study" --workers "$workers"
fi
package=(spimpack package "$input/manifest.yml" "$output" --workers "$workers")
case $level in
participant)
    if [ ${#subjects[@]} -gt 0 ]; then
        package+=(--subject "${subjects[@]}")
    fi
    exec "${package[@]}" ${options[@]+"${options[@]}"}
    ;;
group)
    "${package[@]}" ${options[@]+"${options[@]}"}
    exec spimpack bids-validate "$output"
    ;;
*)
    echo "the level of analysis is '$level'; choose participant or group" >&2
    exit 2
    ;;
esac
