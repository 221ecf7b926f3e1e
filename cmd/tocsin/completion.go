// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func (p *program) completionCommand() *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print a completion script for a shell", ArgsUsage: "bash|zsh|fish",
		Description: "  bash: source <(tocsin completion bash)\n  zsh:  source <(tocsin completion zsh)\n  fish: tocsin completion fish | source",
		Action:      p.completion,
		BashComplete: func(c *cli.Context) {
			fmt.Fprintln(c.App.Writer, "bash\nzsh\nfish")
		},
	}
}

func (p *program) completion(c *cli.Context) error {
	shell, err := oneArgument(c, "shell")
	if err != nil {
		return err
	}
	script := map[string]string{"bash": bashScript, "zsh": zshScript}[shell]
	if shell == "fish" {
		if script, err = c.App.ToFishCompletion(); err != nil {
			return err
		}
	}
	if script == "" {
		return usage("there is a completion for bash, zsh and fish, not for %q", shell)
	}
	_, err = fmt.Fprint(p.out, script)
	return err
}

// Both ask the program itself what may follow, and fall back on files.
const bashScript = `_tocsin() {
  local cur="${COMP_WORDS[COMP_CWORD]}" words
  words=$("${COMP_WORDS[@]:0:$COMP_CWORD}" ${cur:+"$cur"} --generate-bash-completion 2>/dev/null)
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _tocsin tocsin
`

const zshScript = `#compdef tocsin
_tocsin() {
  local -a words_below
  words_below=("${(@f)$(${words[1,CURRENT-1]} ${words[CURRENT]:+$words[CURRENT]} --generate-bash-completion 2>/dev/null)}")
  if [[ -n "${words_below[1]}" ]]; then
    _describe 'tocsin' words_below
  else
    _files
  fi
}
compdef _tocsin tocsin
`
