# SPDX-License-Identifier: BSD-2-Clause
# bash completion for pagefsctl(8)                            -*- shell-script -*-

_pagefsctl_mounts() {
	local line fields

	while read -r line; do
		[[ $line == *' - fuse.pagefs '* ]] || continue
		read -ra fields <<<"$line"
		[ "${fields[3]}" = / ] && printf '%b\n' "${fields[4]//\\/\\0}"
	done </proc/self/mountinfo
}

# One word a line, which may have blanks in it.
_pagefsctl_words() {
	local word

	COMPREPLY=()
	while IFS= read -r word; do
		[[ $word == "$cur"* ]] && COMPREPLY+=("$word")
	done
}

_pagefsctl_files() {
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}

_pagefsctl() {
	local commands="status stat top files maps sysctl sync drop-caches trace
		writeback swaps swapon swapoff mkswap advise help"
	local events="writeback_start writeback_pages writeback_dirty_page
		balance_dirty_pages mm_vmscan_scan mm_demote mm_fault"
	local common="--mount= --json --help --usage --version"
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command= mount=() args=0 i word options=

	# `--mount=/mnt' may be three words: what separates them is COMP_WORDBREAKS'.
	[ "$cur" = = ] && cur=
	[ "$prev" = = ] && prev=${COMP_WORDS[COMP_CWORD - 2]}
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--mount | -m)
			[ "${COMP_WORDS[i + 1]-}" = = ] && ((i++))
			((i++))
			((i < COMP_CWORD)) && mount=(-m "${COMP_WORDS[i]}")
			;;
		--mount=*)
			mount=(-m "${word#*=}")
			;;
		-* | =) ;;
		*)
			if [ -z "$command" ]; then
				command=$word
			else
				((args++))
			fi
			;;
		esac
	done

	case $prev in
	--mount | -m)
		compopt -o filenames 2>/dev/null
		_pagefsctl_words < <(_pagefsctl_mounts)
		[ ${#COMPREPLY[@]} -gt 0 ] ||
			mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	esac
	case $command,$prev in
	files,--sort | files,-s)
		mapfile -t COMPREPLY < <(compgen -W \
			"cached dirty writeback mapped age path ino" -- "$cur")
		return
		;;
	trace,--event | trace,-e)
		mapfile -t COMPREPLY < <(compgen -W "$events" -- "$cur")
		return
		;;
	trace,--file | trace,-f)
		_pagefsctl_files
		return
		;;
	mkswap,--label | mkswap,-L) return ;;
	*,--lines | files,-n | trace,-n | *,--time | *,-t | *,--interval | *,-i)
		return
		;;
	esac

	case $command in
	files) options="--dirty --lines= --sort=" ;;
	sysctl) options="--all --values" ;;
	top) options="--no-trace" ;;
	trace) options="--event= --file= --lines= --raw --time=" ;;
	swapoff) options="--all" ;;
	mkswap) options="--force --label=" ;;
	writeback) options="--follow --interval= --time=" ;;
	esac
	case $cur in
	-*)
		mapfile -t COMPREPLY < <(compgen -W "$options $common" -- "$cur")
		[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null
		return
		;;
	esac

	COMPREPLY=()
	case $command in
	'')
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
		;;
	help)
		[ $args = 0 ] &&
			mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
		;;
	maps)
		_pagefsctl_words < <("${COMP_WORDS[0]}" "${mount[@]}" maps \
			2>/dev/null | awk 'NR > 1 { print $1 }')
		;;
	sysctl)
		# What to set it to nobody knows.
		[[ ${COMP_WORDS[COMP_CWORD]} == = ||
			${COMP_WORDS[COMP_CWORD - 1]} == = ]] && return
		_pagefsctl_words < <("${COMP_WORDS[0]}" "${mount[@]}" sysctl \
			2>/dev/null | sed 's/^vm\.//; s/ = .*/=/'; echo drop_caches=)
		compopt -o nospace 2>/dev/null
		;;
	drop-caches)
		[ $args = 0 ] &&
			mapfile -t COMPREPLY < <(compgen -W "1 2 3" -- "$cur")
		;;
	sync | swapon)
		_pagefsctl_files
		;;
	mkswap)
		[ $args = 0 ] && _pagefsctl_files
		;;
	swapoff)
		_pagefsctl_words < <("${COMP_WORDS[0]}" "${mount[@]}" swaps \
			2>/dev/null | sed -n '2,$s/^[^/]*//p')
		;;
	advise)
		case $args in
		0) _pagefsctl_files ;;
		1) mapfile -t COMPREPLY < <(compgen -W \
			"normal random sequential noreuse willneed dontneed" -- "$cur") ;;
		esac
		;;
	esac
} && complete -F _pagefsctl pagefsctl
