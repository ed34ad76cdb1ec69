//! `repro.sh`: one script that shows the failure with whichever tool its reader has, prints the exact command, and says
//! by its exit status what came out. Makes text; runs nothing.
//!
//! Names, commands and specs come from models and users that nobody vouches for: each is quoted as one word.

mod check;
mod polygraphy;
mod shell;
mod trtexec;

use anyhow::anyhow;

use crate::spec::{Place, Spec};
use crate::tensor::{Tensor, Tensors};

use super::story::{Bound, How, Story, TEST_SET};
use shell::{call, comment, quote, words};

/// An input of the model, as the script needs it.
pub struct Input<'a> {
    /// As the model calls it.
    pub name: &'a str,
    /// What it is fed with.
    pub value: &'a Tensor,
    /// Its bytes as a file of the folder.
    pub file: String,
    /// The model leaves its shape open.
    pub open: bool,
}

/// The whole script.
pub fn script(story: &Story, inputs: &[Input], outputs: Option<&Tensors>) -> anyhow::Result<String> {
    Ok(match &story.how {
        How::Check { command, flags } => check::script(story, command, flags),
        How::Compare { reference, candidate, flags, bounds, own_model } => {
            let (reference, candidate) = (spec(reference)?, spec(candidate)?);
            compare(story, &Runs { reference, candidate, flags, bounds, own_model: *own_model, inputs, outputs })
        }
    })
}

/// Do its commands read the reference outputs from Polygraphy's JSON?
pub fn needs_stored_outputs(how: &How) -> anyhow::Result<bool> {
    Ok(match how {
        How::Compare { reference, candidate, own_model, .. } => {
            polygraphy::needs_stored_outputs(&spec(reference)?, &spec(candidate)?, *own_model)
        }
        How::Check { .. } => false,
    })
}

fn spec(text: &str) -> anyhow::Result<Spec> {
    text.parse().map_err(|e| anyhow!("the reproducer cannot be told how to run '{text}': {e}"))
}

/// What is compared with what, on which files.
struct Runs<'a> {
    reference: Spec,
    candidate: Spec,
    flags: &'a [String],
    bounds: &'a [Bound],
    own_model: bool,
    inputs: &'a [Input<'a>],
    outputs: Option<&'a Tensors>,
}

/// The text before anything is run: what fails, how the script is used, where it stands, how it prints a command.
fn head(story: &Story, usage: &str) -> String {
    let mut out = "#!/bin/sh\n".to_string();
    out += &comment(&story.title.replace('\n', " "));
    out += "#\n";
    out += &comment(usage);
    out += "# exit status: 1 the failure shows; 0 it does not; anything else: could not tell\n";
    out += concat!("# written by layerdiff ", env!("CARGO_PKG_VERSION"), "\n");
    out += r#"
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
"#;
    out
}

fn compare(story: &Story, runs: &Runs) -> String {
    let usage = "usage: sh repro.sh [TOOL]    TOOL is layerdiff, polygraphy or trtexec; else the first that is installed\n\
                 LAYERDIFF, POLYGRAPHY and TRTEXEC may name these programs, where they are not on the PATH";
    let mut out = head(story, usage);
    out += r#"
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
"#;
    let by_polygraphy = polygraphy::plan(runs);
    out += &by_layerdiff(runs);
    out += &by_polygraphy.function(runs);
    out += &trtexec::function(runs);
    let mut able = vec!["layerdiff"];
    able.extend(by_polygraphy.judges().then_some("polygraphy"));
    out += &dispatch(&able);
    out
}

fn by_layerdiff(runs: &Runs) -> String {
    // A command of the user's may name files of the folder it is run in, and is run there.
    let at_home = ![&runs.candidate, &runs.reference].iter().any(|spec| matches!(spec.place, Place::Exec(_)));
    let file = |name: &str| if at_home { name.to_string() } else { format!("\"$here\"/{name}") };
    let stored = runs.own_model || matches!(runs.reference.place, Place::Saved(_));
    let reference = match stored {
        true => format!("saved:{}", file(TEST_SET)),
        false => quote(&runs.reference.for_this_model()),
    };
    let inputs = if runs.inputs.is_empty() { String::new() } else { format!("--inputs {}", file(TEST_SET)) };
    let mut out = "\n".to_string();
    out += match stored {
        true => "# The candidate against the reference's outputs, which are stored.\n",
        false => "# The candidate against the reference.\n",
    };
    if !at_home {
        out += "# Call it where the files are that the command after 'exec:' names.\n";
    }
    out += "by_layerdiff() {\n";
    if at_home {
        out += "    cd \"$here\" || return 3\n";
    }
    out += &call(&[
        format!("\"$layerdiff\" compare {}", file("model.onnx")),
        words(&["--candidate", &runs.candidate.for_this_model()]),
        format!("--reference {reference}"),
        inputs,
        words(runs.flags),
        format!("-o {}", file("layerdiff-out")),
    ]);
    out + "}\n"
}

/// With the tool that is asked for, else with the first that is there and can tell.
fn dispatch(able: &[&str]) -> String {
    let mut out = "\ncase ${1-} in\n'')\n    if ".to_string();
    for tool in able {
        out += &format!("command -v \"${tool}\" >/dev/null; then by_{tool}\n    elif ");
    }
    out += "command -v \"$trtexec\" >/dev/null; then by_trtexec\n    else\n";
    let named = able.join(", ");
    out += &format!(
        "        echo 'repro.sh: none of {named}, trtexec is installed; install {},' >&2\n",
        able.join(" or ")
    );
    out += "        echo 'or say where it is, as in: LAYERDIFF=/path/to/layerdiff sh repro.sh' >&2\n";
    out += "        exit 3\n    fi\n    ;;\n";
    out += "layerdiff | polygraphy | trtexec) \"by_$1\" ;;\n";
    out += "*)\n    echo 'usage: sh repro.sh [layerdiff | polygraphy | trtexec]' >&2\n    exit 2\n    ;;\nesac\n";
    out
}

#[cfg(test)]
mod tests;
