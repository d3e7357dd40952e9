# SPDX-License-Identifier: BSD-2-Clause
# bash completion for pagefsd(8)                              -*- shell-script -*-

_pagefsd() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}

	# `--cache=none' may be three words: what separates them is COMP_WORDBREAKS'.
	if [ "$cur" = = ]; then
		cur=
	elif [ "$prev" = = ]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $cur == --*=* ]]; then
		prev=${cur%%=*} cur=${cur#*=}
	elif [[ $prev != -o ]]; then
		prev=
	fi
	COMPREPLY=()
	case $prev in
	--cache) mapfile -t COMPREPLY < <(compgen -W 'through none writeback' -- "$cur") ;;
	--latency) mapfile -t COMPREPLY < <(compgen -W 'low normal' -- "$cur") ;;
	--track-stores) mapfile -t COMPREPLY < <(compgen -W 'auto fault' -- "$cur") ;;
	--log-level) mapfile -t COMPREPLY < <(compgen -W 'error warn info debug' -- "$cur") ;;
	--socket | --swap)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	--memory | --http | --fake-nodes) ;;
	-o | --options)
		compopt -o nospace 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -W 'memory= cache= log_level= latency=
			socket= track_stores= swap= http= http_allow_remote
			allow_other ro noatime' -- "$cur") ;;
	*)
		if [[ $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W '--memory= --cache=
				--allow-other --latency= --socket= --track-stores=
				--http= --http-allow-remote --swap= --foreground
				--log-level= --options= --fake-nodes= --help
				--version' -- "$cur")
			[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null
		else
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		fi ;;
	esac
}
complete -F _pagefsd pagefsd
