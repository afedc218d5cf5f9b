# SPDX-License-Identifier: MIT
# bash completion of refold: commands, options as each command's help lists them, policies, files.

_refold_policies()
{
	local list="${cur%"${cur##*,}"}"

	COMPREPLY=($(compgen -P "$list" -W "$(refold policies 2>/dev/null | cut -d' ' -f1)" -- "${cur##*,}"))
	compopt -o nospace
}

_refold()
{
	local cur="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD - 1]}" command="${COMP_WORDS[1]}"

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ] || { [ "$command" = help ] && [ "$COMP_CWORD" = 2 ]; }; then
		COMPREPLY=($(compgen -W "$(refold help 2>/dev/null | sed -n 's/^  \([a-z]\+\) .*/\1/p')" -- "$cur"))
	elif [[ "$previous" == -p || "$previous" == --policy || "$previous" == --policies || "$command" == policies ]] &&
	     [[ "$cur" != -* ]]; then
		_refold_policies
	elif [[ "$command" == race && "$previous" == --@(writer|reader) ]]; then
		COMPREPLY=($(compgen -W "$(refold race -l 2>/dev/null | sed -n "/^${previous#--}s/,/^[a-z]*s\$/s/^  \([^ ]*\) .*/\1/p")" -- "$cur"))
	elif [[ "$cur" == -* ]]; then
		COMPREPLY=($(compgen -W "$(refold help "$command" 2>/dev/null | grep -oE '(^|[ ,])--?[a-z][a-z-]*')" -- "$cur"))
	else
		compopt -o default
	fi
}

complete -F _refold refold

_refold_capture()
{
	local cur="${COMP_WORDS[COMP_CWORD]}"

	COMPREPLY=()
	if [[ "$cur" == -* ]]; then
		COMPREPLY=($(compgen -W "$(refold-capture --help 2>/dev/null | grep -oE '(^|[ ,])--?[a-z][a-z-]*')" -- "$cur"))
	else
		compopt -o default 2>/dev/null
	fi
}

complete -F _refold_capture refold-capture
