#!/bin/sh
# Engines for @title@ with the board's own trtexec, for JetPack @releases@,
# whose Python is too old for allnet-edge.
#
#   sh engine/build_with_trtexec.sh [FOLDER] [OPTIONS OF TRTEXEC...]
#
# Engines, times and logs go to FOLDER (trtexec-engines where you stand). Set TRTEXEC to the program
# if it lies elsewhere. For a DLA add: --useDLACore=0 --allowGPUFallback
#
# Research use only. Each engine is given one golden image, which tells a wrong engine from a right
# one. Engines made in this way are NOT judged by the gate on this board: sensitivity and specificity
# were proven for the graphs alone.
set -eu

TRTEXEC=${TRTEXEC:-/usr/src/tensorrt/bin/trtexec}
out=${1:-trtexec-engines}
[ $# -eq 0 ] || shift
bundle=$(cd "$(dirname "$0")/.." && pwd)

if ! command -v "$TRTEXEC" >/dev/null 2>&1; then
  echo "error: there is no trtexec at $TRTEXEC" >&2
  echo "fix: install it with JetPack (package libnvinfer-bin), or set TRTEXEC" >&2
  exit 3
fi
mkdir -p "$out"

# Its name changed in TensorRT 8.4.
if "$TRTEXEC" --help 2>&1 | grep -q memPoolSize; then
  workspace=--memPoolSize=workspace:@workspace@
else
  workspace=--workspace=@workspace@
fi

# build ID GRAPH SHA256 INPUT PROBABILITY TOLERANCE FLAGS...: one engine, timed from ready input
# to finished output, and what it says of the golden image.
build() {
  id=$1 graph=$bundle/$2 wanted=$3 source=$4 expected=$5 tolerance=$6
  shift 6
  found=$(sha256sum "$graph" | cut -d ' ' -f 1)
  if [ "$found" != "$wanted" ]; then
    echo "error: $graph has changed since the bundle was made" >&2
    echo "fix: copy the whole bundle again" >&2
    exit 7
  fi
  echo "building $id" >&2
  if ! "$TRTEXEC" --onnx="$graph" --saveEngine="$out/$id.engine" "$workspace" \
    --warmUp=1000 --duration=10 --percentile=99 --exportTimes="$out/$id.times.json" \
    --loadInputs="$source:$bundle/@pixels@" --exportOutput="$out/$id.output.json" \
    "$@" >"$out/$id.log" 2>&1; then
    echo "error: trtexec could not build $id, see $out/$id.log" >&2
    [ $failed -ne 0 ] || failed=4
    return 0
  fi
  given=$(tr -d ' \n' <"$out/$id.output.json" | sed -n 's/.*"values":\[\([^],]*\).*/\1/p')
  if awk -v a="$given" -v b="$expected" -v t="$tolerance" \
    'BEGIN { d = a - b; if (d < 0) d = -d; exit !(a ~ /^[-+.0-9eE]+$/ && d <= t) }'; then
    echo "$id: golden image $given, $expected is wanted: match" >&2
  else
    echo "error: $id gives ${given:-nothing} for the golden image, not $expected: do not use it" >&2
    mv "$out/$id.engine" "$out/$id.engine.differs"
    failed=7
  fi
}

failed=0
options="$*"
run() {
  # shellcheck disable=SC2086  # options are words, to be split
  build "$@" $options
}
@builds@
exit $failed
