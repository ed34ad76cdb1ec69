#!/bin/sh
# Erf 'erf_3' gives wrong values in ort:fp16
#
# usage: sh repro.sh [TOOL]    TOOL is layerdiff, polygraphy or trtexec; else the first that is installed
# LAYERDIFF, POLYGRAPHY and TRTEXEC may name these programs, where they are not on the PATH
# exit status: 1 the failure shows; 0 it does not; anything else: could not tell
# written by layerdiff VERSION

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 3

# Prints a command so that it can be pasted; words of other bytes than printable ASCII as octal numbers.
show() (
    LC_ALL=C
    line='
'
    printf '+'
    for word do
        case $word in
        *[!\ -~"$line"]*) printf ' "$(printf '"'%s'"')"' "$(printf '%s' "$word" | od -An -v -to1 | tr -d '\n' | tr ' ' '\\')" ;;
        '' | *[!A-Za-z0-9/._+,:@%=-]*) printf " '%s'" "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
)

run() {
    show "$@"
    "$@"
}

# A program by its name, or by its path from here.
program() {
    case $1 in
    [!/]*/*) printf '%s/%s' "$PWD" "$1" ;;
    *) printf '%s' "$1" ;;
    esac
}
layerdiff=$(program "${LAYERDIFF:-layerdiff}")
polygraphy=$(program "${POLYGRAPHY:-polygraphy}")
trtexec=$(program "${TRTEXEC:-trtexec}")

# The candidate against the reference's outputs, which are stored.
by_layerdiff() {
    cd "$here" || return 3
    run "$layerdiff" compare model.onnx \
        --candidate ort \
        --reference saved:test_data_set_0 \
        --inputs test_data_set_0 \
        --atol '/enc/Erf'\''; rm -rf ~ #:0=0.005' \
        -o layerdiff-out
}

# ONNX Runtime on the CPU against the reference's outputs, which are stored.
by_polygraphy() {
    cd "$here" || return 3
    rm -f polygraphy.log
    run "$polygraphy" run model.onnx \
        --onnxrt --providers cpu --graph-optimization-level ORT_DISABLE_ALL --load-outputs outputs.json \
        --load-inputs inputs.json \
        --atol '/enc/Erf'\''; rm -rf ~ #:0:0.005' z:1.235e-2 --rtol 0.01 --infinities-compare-equal \
        --log-file polygraphy.log
    status=$?
    # Whatever goes wrong, it ends with 1; only when it has compared, there is a summary.
    grep -q 'Accuracy Summary' polygraphy.log || return 3
    return "$status"
}

# TensorRT alone. It runs the model and judges nothing.
by_trtexec() {
    cd "$here" || return 3
    run "$trtexec" --onnx=model.onnx \
        --noTF32 \
        '--shapes='\''x:0'\'':2x3' \
        '--loadInputs='\''x:0'\'':trtexec/x_0.bin,n:trtexec/n.bin' \
        --exportOutput=trtexec/outputs.json
    [ $? -eq 0 ] || return 3
    echo 'repro.sh: trtexec judges nothing: compare trtexec/outputs.json with the reference, test_data_set_0/output_*.pb' >&2
    return 3
}

case ${1-} in
'')
    if command -v "$layerdiff" >/dev/null; then by_layerdiff
    elif command -v "$polygraphy" >/dev/null; then by_polygraphy
    elif command -v "$trtexec" >/dev/null; then by_trtexec
    else
        echo 'repro.sh: none of layerdiff, polygraphy, trtexec is installed; install layerdiff or polygraphy,' >&2
        echo 'or say where it is, as in: LAYERDIFF=/path/to/layerdiff sh repro.sh' >&2
        exit 3
    fi
    ;;
layerdiff | polygraphy | trtexec) "by_$1" ;;
*)
    echo 'usage: sh repro.sh [layerdiff | polygraphy | trtexec]' >&2
    exit 2
    ;;
esac
