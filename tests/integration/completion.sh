# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# completion.sh - calls a function for bash's completion as readline does it

declare -F compopt >/dev/null || compopt() { :; }

# completes FUNCTION WORDS... -- EXPECTED...: the last of WORDS is being typed
completes() {
	local function=$1 words=() got

	shift
	while [ "$1" != -- ]; do
		words+=("$1")
		shift
	done
	shift
	COMP_WORDS=("${words[@]}") COMP_CWORD=$((${#words[@]} - 1)) COMPREPLY=()
	"$function"
	# readline shows a command once that $PATH has twice
	got=$(printf '%s\n' "${COMPREPLY[@]}" | awk '!seen[$0]++')
	[ "$got" = "$(printf '%s\n' "$@")" ] || {
		echo "${words[*]}: completed to $got instead of $*" >&2
		return 1
	}
}
