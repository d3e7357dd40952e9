# SPDX-License-Identifier: BSD-2-Clause
# bash completion for pagefs-run(1)                           -*- shell-script -*-

# The program is completed as a command, and what follows as its own arguments.
_pagefs_run() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} i word

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--) i=$((i + 1)); break ;;
		-m) i=$((i + 1)) ;;
		# `--mount=/mnt' may be three words.
		-*) [ "${COMP_WORDS[i + 1]}" != = ] || i=$((i + 2)) ;;
		*) break ;;
		esac
	done
	if [ "$i" -lt "$COMP_CWORD" ] && declare -F _command_offset >/dev/null; then
		_command_offset "$i"
	elif [ "$i" -lt "$COMP_CWORD" ]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	elif [[ $prev == -m || $prev == --mount ||
		$prev == = && ${COMP_WORDS[COMP_CWORD - 2]} == --mount ]]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "${cur#=}")
	elif [[ $cur == = && $prev == --mount ]]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d)
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '--anon --anon= --mount= --direct
			--quiet --verbose --help --version' -- "$cur")
		[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null
	else
		mapfile -t COMPREPLY < <(compgen -c -- "$cur")
	fi
}
complete -F _pagefs_run pagefs-run
