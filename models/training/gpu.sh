#!/bin/sh
# Trains a network for some minutes on a machine with a graphics card, and brings back its state and log:
#
#     models/training/gpu.sh RECIPE MATERIALS RUN [--pack-mb 60] [--minutes 12] [--on USER@HOST]
#
# What travels is this version of the program, as much of MATERIALS as fits into --pack-mb, and RUN/state.pt where there is one.
# The other machine needs Python 3.11, ssh and a package index; without --on it is this one. It learns on its card if it has one
# (`--device auto`), else on the processor. The same command goes on from the state that came back.
set -eu

usage() {
    sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

pack_mb=60 minutes=12 host= recipe= materials= run=
while [ $# -gt 0 ]; do
    case $1 in
    --pack-mb) [ $# -gt 1 ] || usage; pack_mb=$2; shift 2 ;;
    --minutes) [ $# -gt 1 ] || usage; minutes=$2; shift 2 ;;
    --on) [ $# -gt 1 ] || usage; host=$2; shift 2 ;;
    -*) usage ;;
    *)
        if [ -z "$recipe" ]; then recipe=$1
        elif [ -z "$materials" ]; then materials=$1
        elif [ -z "$run" ]; then run=$1
        else usage; fi
        shift ;;
    esac
done
[ -n "$run" ] || usage
python=${PYTHON:-python3}
root=$(cd "$(dirname "$0")/../.." && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/job/run" "$run"
(cd "$root" && git archive HEAD) | tar -x -C "$work/job" --one-top-level=program
cp "$recipe" "$work/job/recipe.toml"
[ ! -f "$run/state.pt" ] || cp "$run/state.pt" "$work/job/run/"
[ ! -f "$run/loss.csv" ] || cp "$run/loss.csv" "$work/job/run/"
"$python" -P -m automask_training.synth.pack "$materials" "$work/job/materials" --megabytes "$pack_mb"

cat > "$work/job/train.sh" <<'JOB'
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
if [ "$1" = install ]; then
    "$python" -m venv environment
    environment/bin/pip install -q './program[train]'
    python=$PWD/environment/bin/python
fi
cores=$(getconf _NPROCESSORS_ONLN)
drawing=$((cores > 1 ? cores - 1 : 1))
workers=$drawing
cd program  # recipes name states by their place in it
materials=../materials
if grep -q '^task = "layout"' ../recipe.toml; then
    materials=../samples workers=1
    part=0
    while [ $part -lt $drawing ]; do
        "$python" -P -m automask_training.layout_samples ../recipe.toml $materials --materials ../materials \
            --part $part --parts $drawing &
        part=$((part + 1))
    done
fi
# 124: ended by the clock, with its state saved
timeout -s TERM "$2m" "$python" -P -m automask_training train ../recipe.toml --materials $materials --out ../run \
    --device auto --workers $workers || [ $? -eq 124 ]
pkill -P $$ || true  # those that still draw
JOB

# Whatever ends the training, the state that it saved comes back.
status=0
if [ -z "$host" ]; then
    PYTHON=$python sh "$work/job/train.sh" here "$minutes" || status=$?
    (cd "$work/job/run" && tar -c .) | tar -x -C "$run"
else
    place=$(ssh "$host" mktemp -d)
    tar -c -z -C "$work" job | ssh "$host" tar -x -z -C "$place"
    ssh "$host" sh "$place/job/train.sh" install "$minutes" || status=$?
    ssh "$host" tar -c -C "$place/job/run" . | tar -x -C "$run"
    ssh "$host" rm -rf "$place"
fi
[ $status -ne 0 ] || echo "state and log are in $run"
exit $status
