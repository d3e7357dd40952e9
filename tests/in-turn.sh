#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/in-turn.sh SCRIPT [ARGUMENT]... - run a test when it is its turn
#
# Scripts mount file systems, measure time and fill disks: nothing runs beside one,
# unless $TESTS_BESIDE names both. The lock is not held by the daemons they start
# (-o), else one that is left behind would stop the rest.
set -u
mode=-x
case " ${TESTS_BESIDE:-} " in
*" tests/${1##*/tests/} "*) mode=-s ;;
esac
exec flock $mode -o "${TOP_BUILDDIR:?}/tests/.serial" "$BASH" "$@"
