// SPDX-License-Identifier: BSD-2-Clause
/*
 * page.js - the live page: from /events to what is seen
 *
 *   EventSource --sample, 4 a second--> rows --> numbers, two charts (dygraphs)
 *              \--writeback_pages--> marks  --> timeline.js, the table
 *
 * Everything is painted once for each sample, so all charts show one moment; a
 * page that nobody looks at paints nothing. While no sample comes the page stays
 * as it is, and says for how long.
 *
 * Times are the daemon's: the trace counts from its start, each sample says what
 * time that is.
 */
import { REASONS, Timeline, bytes, clock, duration, fileOf, shape,
	 timeTicks, took } from "./timeline.js";

const KEEP_MS = 15 * 60 * 1000 + 5000;	/* the longest time that can be shown */
const STALE_MS = 2000;
const TABLE_ROWS = 12;
const EVENTS = "/events?event=sample,writeback_pages";
const RETRY_MS = 3000;			/* after an answer that ends it */

const $ = id => document.getElementById(id);
const quiet = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

const state = {
	source: null,
	pid: null,
	offset: 0,			/* wall clock less the trace's, ms */
	heard: 0,			/* performance.now() of the last event */
	status: "connecting",
	sample: null,
	window: 60,			/* seconds */
	paused: false,
	painted: 0,
	events: 0,			/* writebacks heard of */
	lost: 0,
	cursor: null,			/* a time being pointed at */
};

const rows = [];			/* [time, a column for each line...] */
const latest = [];			/* marks, newest first */
const timeline = new Timeline($("timeline"), pointAt);

/* ---- line charts ---- */

const RATE = v => `${bytes(v)}/s`;

const charts = [
	{
		id: "memory", unit: bytes,
		lines: [
			{ key: "cached", name: "Cached", fill: true },
			{ key: "mapped", name: "Mapped" },
			{ key: "dirty", name: "Dirty", fill: true },
			{ key: "writeback", name: "Writeback" },
			{ key: "swapped", name: "Swapped" },
			{ key: "dirty_limit", name: "Writers wait", colour: "limit", dash: [5, 4] },
			{ key: "background_limit", name: "Background starts", colour: "limit", dash: [1, 3] },
		],
	}, {
		id: "throughput", unit: RATE,
		lines: [
			{ key: "dirtied_rate", name: "Dirtied by programs", colour: "dirty" },
			{ key: "written_rate", name: "Written to the disk", colour: "writeback", fill: true },
			{ key: "read_rate", name: "Read from the disk", colour: "mapped" },
		],
	},
];
let column = 1;
for (const chart of charts)
	for (const line of chart.lines)
		line.column = column++;
const COLUMNS = column;

function colourOf(name) {
	return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/* A short line as it is drawn. */
function stroke(line) {
	const SVG = "http://www.w3.org/2000/svg";
	const svg = document.createElementNS(SVG, "svg");
	const path = document.createElementNS(SVG, "path");

	svg.setAttribute("width", 18);
	svg.setAttribute("height", 10);
	svg.setAttribute("aria-hidden", "true");
	path.setAttribute("d", "M0 5H18");
	path.setAttribute("stroke-width", line.dash ? 2 : 3);
	if (line.dash)
		path.setAttribute("stroke-dasharray", line.dash.join(" "));
	path.style.stroke = `var(--${line.colour ?? line.key})`;
	svg.append(path);
	return svg;
}

/* Powers of two, and 1.5 of none: at most six lines. */
function byteTicks(min, max) {
	const ticks = [];
	let step = 1024;

	while (max / step > 5)
		step *= 2;
	for (let v = 0; v <= max * 1.0001; v += step)
		ticks.push(v);
	return ticks;
}

const axes = chart => ({
	x: {
		drawAxis: true,
		axisLabelWidth: 70,
		axisLineColor: colourOf("axis"),
		ticker: (a, b, width) => timeTicks(a, b, width)
			.map(v => ({ v, label: clock.format(v) })),
		valueFormatter: v => clock.format(v),
	},
	y: {
		axisLabelWidth: 66,
		axisLineColor: "transparent",
		ticker: (a, b) => byteTicks(a, b).map(v => ({ v, label: v ? chart.unit(v) : "0" })),
	},
});

function chartColours(chart) {
	return chart.lines.map(line => colourOf(line.colour ?? line.key));
}

/* Its own columns of all rows; dygraphs wants a number at least. */
function chartRows(chart, from) {
	const first = chart.lines[0].column, nr = chart.lines.length;
	const data = rows.filter(r => r[0] >= from - 2000)
		.map(r => [r[0], ...r.slice(first, first + nr)]);

	return data.length ? data : [[from, ...Array(nr).fill(null)]];
}

function makeChart(chart) {
	const series = {};

	for (const line of chart.lines)
		series[line.name] = {
			fillGraph: !!line.fill,
			strokePattern: line.dash ?? null,
			strokeWidth: line.dash ? 1.5 : 2,
			highlightCircleSize: line.dash ? 0 : 3.5,
		};
	chart.graph = new window.Dygraph($(chart.id), chartRows(chart, 0), {
		labels: ["time", ...chart.lines.map(line => line.name)],
		colors: chartColours(chart),
		series,
		fillAlpha: .14,
		axes: axes(chart),
		gridLineColor: colourOf("grid"),
		gridLineWidth: 1,
		includeZero: true,
		rightGap: 8,
		xRangePad: 0,
		yRangePad: 4,
		xAxisHeight: 22,
		interactionModel: {},
		highlightCallback: (e, x) => pointAt(x),
		unhighlightCallback: () => pointAt(null),
	});
	chart.values = new Map();
}

function makeLegend(chart) {
	for (const [i, line] of chart.lines.entries()) {
		const item = document.createElement("li");
		const button = document.createElement("button");
		const value = document.createElement("span");

		button.type = "button";
		button.setAttribute("aria-pressed", "true");
		value.className = "v";
		button.append(stroke(line), line.name, value);
		button.addEventListener("click", () => {
			const on = button.getAttribute("aria-pressed") !== "true";

			button.setAttribute("aria-pressed", on);
			chart.graph?.setVisibility(i, on);
		});
		item.append(button);
		$(`${chart.id}-legend`).append(item);
		line.value = value;
	}
}

function makeCharts() {
	for (const chart of charts)
		makeLegend(chart);
	if (!window.Dygraph) {
		for (const chart of charts) {
			$(chart.id).classList.add("missing");
			$(chart.id).textContent = "The lines are drawn by dygraphs, which is not installed where pagefsd runs (Debian: libjs-dygraphs).";
		}
		return;
	}
	/* Values stand in our own legends; its needs styles in HTML. */
	window.Dygraph.PLUGINS = window.Dygraph.PLUGINS
		.filter(p => p !== window.Dygraph.Plugins.Legend);
	for (const chart of charts)
		makeChart(chart);
}

/* ---- the reasons ---- */

const reasons = {};

function makeReasons() {
	for (const [name, why] of Object.entries(REASONS)) {
		const item = document.createElement("li");
		const button = document.createElement("button");
		const value = document.createElement("span");

		button.type = "button";
		button.title = why;
		button.setAttribute("aria-pressed", "true");
		value.className = "v";
		button.append(shape(name), name, value);
		button.addEventListener("click", () => {
			const on = button.getAttribute("aria-pressed") !== "true";

			button.setAttribute("aria-pressed", on);
			if (on)
				timeline.hidden.delete(name);
			else
				timeline.hidden.add(name);
			timeline.forgetLabels();
			paint();
		});
		item.append(button);
		$("reasons").append(item);
		reasons[name] = { value, nr: 0, bytes: 0 };
	}
}

function countReasons(from, to) {
	for (const r of Object.values(reasons))
		r.nr = r.bytes = 0;
	for (let i = timeline.firstAt(from); i < timeline.marks.length; i++) {
		const mark = timeline.marks[i];

		if (mark.t <= to && reasons[mark.reason]) {
			reasons[mark.reason].nr++;
			reasons[mark.reason].bytes += mark.bytes;
		}
	}
	for (const r of Object.values(reasons))
		r.value.textContent = r.nr ? `${r.nr.toLocaleString()} · ${bytes(r.bytes)}` : "";
}

/* ---- numbers ---- */

/* "12.3 MiB": the unit smaller. */
function setNumber(id, text) {
	const [number, ...unit] = text.split(" ");
	const span = document.createElement("span");

	span.textContent = unit.length ? ` ${unit.join(" ")}` : "";
	$(id).replaceChildren(number, span);
}

function setMeter(id, part, whole) {
	$(id).style.width = `${whole ? Math.min(100, 100 * part / whole) : 0}%`;
}

function paintNumbers(s) {
	setNumber("t-dirty", bytes(s.dirty));
	$("s-dirty").textContent = `writers wait at ${bytes(s.dirty_limit)}`;
	setMeter("m-dirty", s.dirty + s.writeback, s.dirty_limit);
	$("m-background").style.left = `${Math.min(100, 100 * s.background_limit / s.dirty_limit)}%`;
	setNumber("t-written", s.written_rate === undefined ? "–" : RATE(s.written_rate));
	$("s-written").textContent = s.writeback ? `${bytes(s.writeback)} on the way` : "nothing on the way";
	setNumber("t-read", s.read_rate === undefined ? "–" : RATE(s.read_rate));
	$("s-read").textContent = s.fault_rate ? `${s.fault_rate.toLocaleString()} faults a second` : "no faults of mapped files";
	setNumber("t-cached", bytes(s.cached));
	$("s-cached").textContent = `of ${bytes(s.total)}, ${bytes(s.free)} free`;
	setMeter("m-cached", s.cached, s.total);
	setNumber("t-paused", `${(s.pause_rate ?? 0).toLocaleString()} times/s`);
	$("s-paused").textContent = s.pause_rate ? `for ${duration(s.paused_ms_rate / s.pause_rate)} each` :
		s.pauses ? `${s.pauses.toLocaleString()} pause${s.pauses === 1 ? "" : "s"} so far` : "never so far";
	setNumber("t-flushers", `${s.flushers} flusher${s.flushers === 1 ? "" : "s"}`);
	$("s-flushers").textContent = `${s.clients} mapping program${s.clients === 1 ? "" : "s"}` +
		(s.laptop_mode ? ", laptop mode" : "");
	$("memory-hint").textContent = `of ${bytes(s.total)} in all`;
	$("throughput-hint").textContent = `the disk can take some ${RATE(s.bandwidth)}`;
}

function paintLegends(row) {
	for (const chart of charts)
		for (const line of chart.lines) {
			const v = row?.[line.column];

			line.value.textContent = v === null || v === undefined ? "–" : chart.unit(v);
		}
}

/* ---- the table ---- */

function cell(tr, text, className) {
	const td = document.createElement("td");

	td.textContent = text;
	if (className)
		td.className = className;
	tr.append(td);
	return td;
}

function tableRow(mark) {
	const tr = document.createElement("tr");

	cell(tr, clock.format(mark.t));
	cell(tr, mark.err ? `${mark.reason}, failed` : mark.reason,
		mark.err ? "failed" : "").prepend(shape(mark.reason, 13));
	cell(tr, fileOf(mark)).title = fileOf(mark);
	cell(tr, bytes(mark.bytes), "n");
	cell(tr, mark.age === undefined ? "?" : mark.age < 10 ? "fresh" : duration(mark.age), "n");
	cell(tr, mark.index.toLocaleString(), "n wide");
	cell(tr, mark.requests.toLocaleString(), "n wide");
	cell(tr, took(mark), "n wide");
	return tr;
}

function paintTable() {
	const body = $("rows");

	if (latest.length && body.firstChild?.mark === latest[0] &&
	    body.firstChild.requests === latest[0].requests)
		return;
	body.replaceChildren(...latest.map(mark => {
		const tr = tableRow(mark);

		tr.mark = mark;
		tr.requests = mark.requests;
		return tr;
	}));
	$("rows-empty").hidden = latest.length > 0;
}

/* ---- painting ---- */

/* The row shown in the legends: the one pointed at, or the last. */
function rowAt(t) {
	if (t === null)
		return rows.length - 1;
	let i = rows.length - 1;

	while (i > 0 && rows[i][0] > t)
		i--;
	return i > 0 && i + 1 < rows.length && rows[i + 1][0] - t < t - rows[i][0] ? i + 1 : i;
}

function paintCursor() {
	const t = state.cursor;

	paintLegends(rows[rowAt(t)]);
	timeline.cursor = t;
	for (const chart of charts) {
		if (!chart.graph)
			continue;
		const first = chart.graph.rawData_?.[0]?.[0];
		const at = t === null ? -1 : rowAt(t) - rows.findIndex(r => r[0] === first);

		if (at < 0)
			chart.graph.clearSelection();
		else
			chart.graph.setSelection(at);
	}
}

function pointAt(t) {
	if (t === state.cursor)
		return timeline.redraw();
	state.cursor = t;
	paintCursor();
	timeline.redraw();
}

function paint() {
	const to = rows.length ? rows[rows.length - 1][0] : Date.now();
	const from = to - state.window * 1000;

	for (const chart of charts)
		chart.graph?.updateOptions({ file: chartRows(chart, from), dateWindow: [from, to] });
	const area = charts[0].graph?.getArea();
	if (area)
		timeline.left = area.x;
	timeline.draw(from, to);
	countReasons(from, to);
	paintCursor();
	paintTable();
	if (state.sample)
		paintNumbers(state.sample);
	$("timeline-note").textContent = state.sample && !state.sample.trace ?
		"Writebacks are not told: the trace has as many readers as it may have, or pagefsd is built without it." : state.lost ?
		`${state.lost.toLocaleString()} events came too fast for this page and are not shown.` : "";
	state.painted = performance.now();
}

/* With reduced motion things move once a second. */
function paintSoon() {
	if (state.paused || document.hidden ||
	    (quiet.matches && performance.now() - state.painted < 950))
		return;
	paint();
}

function restyle() {
	timeline.readColours();
	for (const chart of charts)
		chart.graph?.updateOptions({ colors: chartColours(chart), axes: axes(chart),
					     gridLineColor: colourOf("grid") }, true);
	paint();
}

/* ---- what comes in ---- */

function onSample(s) {
	const row = [s.time, ...Array(COLUMNS - 1).fill(null)];
	const last = rows[rows.length - 1];

	state.offset = s.time - s.ts / 1000;
	state.sample = s;
	timeline.expire = s.expire_ms;
	/* Nothing is known of the time between: the lines shall say so. */
	if (last && s.time - last[0] > STALE_MS)
		rows.push([last[0] + 1, ...Array(COLUMNS - 1).fill(null)]);
	for (const chart of charts)
		for (const line of chart.lines)
			row[line.column] = s[line.key] ?? null;
	rows.push(row);
	while (rows[0][0] < s.time - KEEP_MS)
		rows.shift();
	paintSoon();
}

function onPages(e) {
	const mark = {
		t: e.ts / 1000 + state.offset,
		reason: e.reason, file: e.file, ino: e.ino, index: e.index,
		nr: e.nr, bytes: e.bytes, err: e.err,
		age: e.age_ms,
		queue: e.queue_us === undefined ? undefined : e.queue_us / 1000,
		device: e.device_us === undefined ? undefined : e.device_us / 1000,
	};

	if (!state.offset)
		return;		/* no sample yet: it is not known when that was */
	state.events++;
	if (!timeline.add(mark))
		return;
	latest.unshift(mark);
	latest.length = Math.min(latest.length, TABLE_ROWS);
}

function onLost(e) {
	state.lost += e.nr;
	if (state.offset)
		timeline.lost.push({ t: rows[rows.length - 1][0], nr: e.nr });
}

/* Another daemon, which counts from its own start. */
function forget() {
	rows.length = latest.length = 0;
	timeline.clear();
	state.offset = state.lost = 0;
	state.sample = null;
}

function onHello(e) {
	if (state.pid !== null && state.pid !== e.pid)
		forget();
	state.pid = e.pid;
	$("where").textContent = `${e.backing_dir} on ${e.mountpoint}, cache=${e.cache}`;
	$("version").textContent = `pagefs ${e.version}, pid ${e.pid}`;
	document.title = `pagefs: ${e.mountpoint}`;
}

/* ---- is it alive? ---- */

const STATES = {
	connecting: "Connecting",
	live: "Live",
	stale: "No news",
	ended: "Unmounted",
};

function setStatus(name) {
	if (state.status !== name) {
		state.status = name;
		$("status").dataset.state = name;
		$("status-text").textContent = STATES[name];
		document.body.classList.toggle("stale", name === "stale" || name === "ended");
	}
	const age = name === "stale" ? performance.now() - state.heard : 0;

	$("status-age").textContent = age ? `for ${Math.round(age / 1000)} s` : "";
	$("notice").hidden = name === "live" || !state.heard;
	if (name === "stale")
		$("notice").textContent = `What is shown is of ${clock.format(rows.length ? rows[rows.length - 1][0] : Date.now())}. Trying to reach pagefsd again.`;
	else if (name === "ended")
		$("notice").textContent = "The file system has been unmounted. If it comes back on this address, so does this page.";
}

function heard() {
	state.heard = performance.now();
	setStatus("live");
}

function watch() {
	if (state.status !== "ended" && state.heard &&
	    performance.now() - state.heard > STALE_MS)
		setStatus("stale");
}

function listen(source, name, handle) {
	source.addEventListener(name, e => {
		heard();
		handle(JSON.parse(e.data));
	});
}

function connect() {
	const source = new EventSource(EVENTS);

	state.source = source;
	listen(source, "hello", onHello);
	listen(source, "sample", onSample);
	listen(source, "writeback_pages", onPages);
	listen(source, "lost", onLost);
	source.addEventListener("end", () => {
		source.close();
		paint();
		setStatus("ended");
		setTimeout(connect, RETRY_MS);
	});
	source.addEventListener("error", () => {
		if (source.readyState !== EventSource.CLOSED)
			return;		/* it tries again by itself */
		setTimeout(connect, RETRY_MS);
	});
}

/* ---- begin ---- */

function setPaused(paused) {
	state.paused = paused;
	$("pause").setAttribute("aria-pressed", paused);
	$("pause").textContent = paused ? "Go on" : "Pause";
	if (!paused)
		paint();
}

makeReasons();
makeCharts();
for (const input of document.querySelectorAll("input[name=window]"))
	input.addEventListener("change", () => {
		state.window = Number(input.value);
		timeline.forgetLabels();
		paint();
	});
$("pause").addEventListener("click", () => setPaused(!state.paused));
dark.addEventListener("change", restyle);
document.addEventListener("visibilitychange", () => document.hidden || paintSoon());
new ResizeObserver(() => timeline.redraw()).observe($("timeline"));
setInterval(watch, 500);
connect();

/* For who tests it. */
window.pagefs = { state, rows, timeline, charts };
