# SPDX-License-Identifier: BSD-2-Clause
# bash completion for pagefs-kv(1)                            -*- shell-script -*-

_pagefs_kv() {
	local cur=${COMP_WORDS[COMP_CWORD]} word command='' options

	COMPREPLY=()
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		[[ $word == -* || $word == = ]] || { command=$word; break; }
	done
	options='--help --version --map-size= --sync= --writemap --readahead'
	case $command in
	load) options+=' --records= --value-size= --key-size= --batch= --json --quiet' ;;
	bench) options+=' --workload= --threads= --seconds= --operations=
		--distribution= --theta= --max-scan= --seed= --json --quiet' ;;
	scan) options+=' --limit=' ;;
	stat) options+=' --json' ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null
	elif [ -z "$command" ]; then
		mapfile -t COMPREPLY < <(compgen -W \
			'put get del scan load bench stat' -- "$cur")
	else
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
	fi
}
complete -F _pagefs_kv pagefs-kv
