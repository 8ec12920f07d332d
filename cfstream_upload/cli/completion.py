"""``cfupload completion``: scripts for three shells; what they ask is answered by `completing`."""

from __future__ import annotations

from typing import Annotated

import typer

from cfstream_upload.cli.desk import Desk
from cfstream_upload.cli.everywhere import with_everywhere

_BASH = """\
# Completion of cfupload for bash: eval "$(cfupload completion bash)"
_cfupload() {
    local kind value meaning
    COMPREPLY=()
    while IFS=$'\\t' read -r kind value meaning; do
        case $kind in
            plain) COMPREPLY+=("$value") ;;
            file) compopt -o default 2>/dev/null ;;
            folder) compopt -o dirnames 2>/dev/null ;;
        esac
    done < <(_CFUPLOAD_COMPLETE=bash "$1" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o nosort -F _cfupload cfupload 2>/dev/null || complete -F _cfupload cfupload
"""

_ZSH = """\
#compdef cfupload
# Completion of cfupload for zsh: eval "$(cfupload completion zsh)"
_cfupload() {
    local line kind value meaning
    local -a answers plain
    answers=("${(@f)$(_CFUPLOAD_COMPLETE=zsh "${(Q)words[1]}" \\
        "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    for line in "${answers[@]}"; do
        kind=${line%%$'\\t'*}
        line=${line#*$'\\t'}
        value=${line%%$'\\t'*}
        meaning=${line#*$'\\t'}
        case $kind in
            plain) plain+=("${value//:/\\\\:}${meaning:+:$meaning}") ;;
            file) compset -P '--*='; _files ;;
            folder) compset -P '--*='; _files -/ ;;
        esac
    done
    if (( ${#plain} )); then
        _describe -V cfupload plain
    fi
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
    _cfupload "$@"
else
    compdef _cfupload cfupload
fi
"""

_FISH = """\
# Completion of cfupload for fish: cfupload completion fish | source
function __cfupload
    set -l done (commandline -opc)
    set -l begun (commandline -ct)
    # fish takes what matches the whole word, "--option=" included.
    set -l option (string match -r '^--[^=]*=' -- "$begun")
    set -l value (string replace -r '^--[^=]*=' '' -- "$begun")
    for line in (env _CFUPLOAD_COMPLETE=fish $done "$begun" 2>/dev/null)
        set -l parts (string split -m 2 \\t -- $line)
        switch $parts[1]
            case plain
                printf '%s\\t%s\\n' $parts[2] $parts[3]
            case file
                string replace -r '^' -- "$option" (__fish_complete_path "$value")
            case folder
                string replace -r '^' -- "$option" (__fish_complete_directories "$value")
        end
    end
end
complete --command cfupload --no-files --keep-order --arguments '(__cfupload)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("completion")(with_everywhere(completion))


def completion(
    desk: Desk,
    shell: Annotated[
        str, typer.Argument(metavar="bash|zsh|fish", help="The shell that you type in.")
    ],
) -> int:
    """Print the script that completes commands, options and values.

    It completes UIDs from the journal, profiles, and file names. Put the line into your shell's
    start-up file.

    Examples:

        eval "$(cfupload completion bash)"

        cfupload completion fish | source
    """
    script = SCRIPTS[shell]
    if desk.common.mode == "json":
        desk.console.document({"version": 1, "completion": script, "error": None})
        return 0
    for line in script.splitlines():
        desk.console.line(line)
    return 0
