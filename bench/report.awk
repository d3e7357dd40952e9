# SPDX-License-Identifier: BSD-2-Clause
#
# bench/report.awk - tables and JSON lines from what bench/run gathered
#
# Input: round, system, row, value, unit, ops, seconds, client CPU, server CPU,
# requests an operation; separated by tabs. Variables: see bench/run. Plain
# awk: Debian's is mawk.

BEGIN {
	FS = "\t"
	nsys = split(systems, sys, " ")
	while ((getline line < targets) > 0) {
		if (split(line, t, /[ \t]+/) < 4 || line ~ /^#/)
			continue
		ntargets++
		t_row[ntargets] = t[1]
		t_sys[ntargets] = t[2]
		t_ref[ntargets] = t[3]
		t_min[ntargets] = t[4]
	}
}

{
	if (!($3 in unit)) {
		rows[++nrows] = $3
		unit[$3] = $5
	}
	value[$3, $2, $1] = $4
	ops[$3, $2] += $6
	client[$3, $2] += $8
	server[$3, $2] += $9
	requests[$3, $2] = $10
	if ($1 > rounds)
		rounds = $1
}

# The median of list[1..n], which is sorted on the way.
function median(list, n,    i, j, x) {
	for (i = 2; i <= n; i++) {
		x = list[i]
		for (j = i - 1; j > 0 && list[j] > x; j--)
			list[j + 1] = list[j]
		list[j + 1] = x
	}
	if (n == 0)
		return 0
	return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

# Median over the rounds; leaves the extremes in lo and hi.
function middle(row, s,    r, n, list, m) {
	n = 0
	for (r = 1; r <= rounds; r++)
		if ((row, s, r) in value)
			list[++n] = value[row, s, r]
	m = median(list, n)
	lo = n ? list[1] : 0
	hi = n ? list[n] : 0
	count = n
	return m
}

# Median of the ratios within a round; 0 when there are none.
function ratio(row, s, ref,    r, n, list) {
	n = 0
	for (r = 1; r <= rounds; r++)
		if (((row, s, r) in value) && ((row, ref, r) in value) &&
		    value[row, ref, r] > 0)
			list[++n] = value[row, s, r] / value[row, ref, r]
	return median(list, n)
}

function gathers(s) {
	return s ~ /writeback|-wb/
}

# The fastest pass-through of this row that may be compared with s, or "".
function best_pt(row, s,    i, m, best, name) {
	name = ""
	best = 0
	for (i = 1; i <= nsys; i++) {
		if (sys[i] !~ /^pt-|^bindfs/)
			continue
		if (row ~ /write/ && gathers(sys[i]) != gathers(s))
			continue
		m = middle(row, sys[i])
		if (m > best) {
			best = m
			name = sys[i]
		}
	}
	return name
}

function human(x) {
	if (x >= 999500)
		return sprintf("%.2fM", x / 1e6)
	if (x >= 99950)
		return sprintf("%.0fk", x / 1e3)
	if (x >= 9995)
		return sprintf("%.1fk", x / 1e3)
	return sprintf("%.0f", x)
}

# " >=0.95 ok" for each target of this case; sets verdict.
function judge(row, s, r_ext4, r_pt,    i, out, short, r) {
	out = ""
	verdict = "none"
	short = s
	sub(/^pagefs-/, "", short)
	for (i = 1; i <= ntargets; i++) {
		if (t_row[i] != row || (t_sys[i] != "*" && t_sys[i] != short))
			continue
		r = t_ref[i] == "ext4" ? r_ext4 : r_pt
		if (r == 0)
			continue
		out = out "  " t_ref[i] ">=" t_min[i] (r >= t_min[i] ? " ok" : " BELOW")
		if (r < t_min[i])
			verdict = "below"
		else if (verdict == "none")
			verdict = "ok"
	}
	return out
}

function quote(s) {
	gsub(/\\/, "\\\\", s)
	gsub(/"/, "\\\"", s)
	return "\"" s "\""
}

function cpu_us(total, n) {
	return n > 0 ? total * 1e6 / n : 0
}

function json_case(row, s, m, r_ext4, r_pt, pt,    line) {
	line = sprintf("{\"bench\":\"mount\",\"row\":%s,\"system\":%s,\"unit\":%s,", \
		quote(row), quote(s), quote(unit[row]))
	line = line sprintf("\"median\":%.6g,\"min\":%.6g,\"max\":%.6g,\"rounds\":%d,", \
		m, lo, hi, count)
	line = line sprintf("\"to_ext4\":%.4g,\"to_pt\":%.4g,\"pt\":%s,\"target\":%s,", \
		r_ext4, r_pt, quote(pt), quote(verdict))
	line = line sprintf("\"client_cpu_us\":%.3g,\"server_cpu_us\":%.3g,\"requests\":%s,", \
		cpu_us(client[row, s], ops[row, s]), \
		cpu_us(server[row, s], ops[row, s]), quote(requests[row, s]))
	line = line sprintf("\"machine\":%s,\"kernel\":%s,\"seed\":%s,\"settings\":%s,\"command\":%s}", \
		quote(machine), quote(kernel), quote(seed), quote(settings), \
		quote(cmd))
	print line >> json
}

function values_table(    i, j, m) {
	printf "\n%-17s%-6s", "median +-spread", ""
	for (j = 1; j <= nsys; j++)
		printf "%19s", sys[j]
	printf "\n"
	for (i = 1; i <= nrows; i++) {
		printf "%-17s%-6s", rows[i], unit[rows[i]]
		for (j = 1; j <= nsys; j++) {
			m = middle(rows[i], sys[j])
			printf "%19s", count == 0 ? "-" : human(m) \
				sprintf(" +-%2.0f%%", m ? 50 * (hi - lo) / m : 0)
		}
		printf "\n"
	}
}

function ratios_table(    i, j, m, r_ext4, r_pt, pt, told, text) {
	printf "\n%-17s%-17s%9s%8s%8s  %-16s%9s%9s  %s\n", "row", "system", \
		"value", "/ext4", "/pt", "best pt", "cpu us", "server", "targets"
	for (i = 1; i <= nrows; i++) {
		for (j = 1; j <= nsys; j++) {
			m = middle(rows[i], sys[j])
			if (count == 0)
				continue
			pt = best_pt(rows[i], sys[j])
			r_ext4 = ratio(rows[i], sys[j], "ext4")
			r_pt = pt == "" ? 0 : ratio(rows[i], sys[j], pt)
			verdict = "none"
			text = ""
			if (sys[j] ~ /^pagefs-/) {
				text = judge(rows[i], sys[j], r_ext4, r_pt)
				below += verdict == "below"
				met += verdict == "ok"
				printf "%-17s%-17s%9s%8.3f%8.3f  %-16s%9.2f%9.2f%s\n", \
					rows[i], sys[j], human(m), r_ext4, r_pt, pt, \
					cpu_us(client[rows[i], sys[j]], ops[rows[i], sys[j]]), \
					cpu_us(server[rows[i], sys[j]], ops[rows[i], sys[j]]), \
					text
			}
			m = middle(rows[i], sys[j])
			if (json != "")
				json_case(rows[i], sys[j], m, r_ext4, r_pt, pt)
		}
	}
	printf "\n%d cases meet their targets, %d are below\n", met, below
}

function requests_table(    i, j, seen) {
	for (i = 1; i <= nrows; i++)
		for (j = 1; j <= nsys; j++) {
			if (requests[rows[i], sys[j]] !~ /=/)
				continue
			if (!seen++)
				printf "\nFUSE requests an operation (last round)\n"
			printf "%-17s%-17s%s\n", rows[i], sys[j], \
				requests[rows[i], sys[j]]
		}
}

END {
	if (nrows == 0)
		exit 1
	printf "%s\nkernel %s, %s, seed %s\n%s\n", machine, kernel, settings, \
		seed, cmd
	values_table()
	ratios_table()
	requests_table()
}
