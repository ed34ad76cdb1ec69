#!/bin/sh
# Erf 'erf_3' gives wrong values in ort:fp16
#
# usage: sh repro.sh    where the files are that the command below names
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

# The command gets copies, which it may change or remove, by paths that are one plain word in any quotes.
command='python '\''my check.py'\'' {model} {inputs}'
place=${TMPDIR:-/tmp}
case $place in
[!/]* | *[!A-Za-z0-9/._+-]*) place=/tmp ;;
esac
copy=$(mktemp -d "$place/repro.XXXXXX") || exit 3
trap 'rm -rf "$copy"' EXIT
for file in "$here"/model.onnx*; do
    cp "$file" "$copy" || exit 3
done
cp "$here"/inputs.npz "$copy" || exit 3
command=$(printf '%s' "$command" | sed "s|{model}|$copy/model.onnx|g; s|{inputs}|$copy/inputs.npz|g")

show sh -c "$command"
output=$(sh -c "$command" </dev/null 2>&1)
status=$?
printf '%s\n' "$output"
found() {
    printf '%s\n' "$output" | grep -Eq -e 'it'\''s wrong'
}
case $status in
3) found && exit 1; exit 3 ;;
0) exit 0 ;;
*) exit 3 ;;
esac
