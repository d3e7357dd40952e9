// SPDX-License-Identifier: BSD-2-Clause
/*
 * timeline.js - every writeback as a mark
 *
 *   age   |            #          placed by when it ended, and how old its
 *   (log) |  - - - - - - - - - -  oldest data was; its shape and colour say
 *         |     o   O      <>     why, its area how many pages
 *         +------------------ time
 *
 * A run of a file that goes to the disk in several requests, one after the other,
 * is one mark: a MiB each, they would lie on top of each other.
 *
 * Marks are painted on a canvas, thousands of them several times a second; what
 * a screen reader and a keyboard get is the element over it, a slider over the
 * marks, and the table. Names of files are only ever text.
 */

export const REASONS = {
	background: "more was dirty than the background limit",
	periodic: "it had been dirty for long enough",
	sync: "a program asked for it: fsync, msync, rename, unmount",
	reclaim: "memory was short",
	throttled: "a writer was waiting for it",
	laptop: "the disk was awake anyway",
};

/* Of area pi around 0, 0: shapes of one size say the same number of pages. */
const SHAPES = {
	background: "M1 0A1 1 0 1 1 -1 0A1 1 0 1 1 1 0Z",
	periodic: "M-.886-.886H.886V.886H-.886Z",
	sync: "M0-1.253L1.253 0 0 1.253-1.253 0Z",
	reclaim: "M0 1.45L-1.347-.88H1.347Z",
	throttled: "M0-1.45L1.347.88H-1.347Z",
	laptop: "M1.1 0L.55.952H-.55L-1.1 0-.55-.952H.55Z",
};

const SVG = "http://www.w3.org/2000/svg";
const MAX_MARKS = 20000;
const MIN_AGE = 10;		/* ms: the trace knows ages to 10 ms */
const MAX_LABELS = 16;
const JOIN_MS = 150;		/* no more between requests of one run */
const MAX_RADIUS = 24;		/* of 12 MiB; what is more is as large */

export function shape(reason, size = 14) {
	const svg = document.createElementNS(SVG, "svg");
	const path = document.createElementNS(SVG, "path");

	svg.setAttribute("viewBox", "-1.6 -1.6 3.2 3.2");
	svg.setAttribute("width", size);
	svg.setAttribute("height", size);
	svg.setAttribute("aria-hidden", "true");
	svg.classList.add("mark");
	path.setAttribute("d", SHAPES[reason] ?? SHAPES.background);
	path.style.fill = `var(--${reason})`;
	svg.append(path);
	return svg;
}

/* ---- words ---- */

export function duration(ms) {
	if (ms === undefined)
		return "unknown";
	if (ms < 1)
		return `${Math.round(ms * 1000)} µs`;
	if (ms < 10)
		return `${ms.toFixed(1)} ms`;
	if (ms < 1000)
		return `${Math.round(ms)} ms`;
	return ms < 100000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

export function ageOf(mark) {
	if (mark.age === undefined)
		return "of unknown age";
	return mark.age < MIN_AGE ? "fresh" : `${duration(mark.age)} old`;
}

export function bytes(n, digits = 1) {
	for (const unit of ["B", "KiB", "MiB", "GiB"]) {
		if (n < 1024 || unit === "GiB")
			return `${unit === "B" || n >= 100 || n === Math.round(n) ? Math.round(n) : n.toFixed(digits)} ${unit}`;
		n /= 1024;
	}
}

export const clock = new Intl.DateTimeFormat(undefined,
	{ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

export function fileOf(mark) {
	return mark.file ?? `inode ${mark.ino}, which has no name`;
}

function shortName(mark) {
	const name = mark.file ?? `inode ${mark.ino}`;

	return name.length <= 26 ? name : "…" + name.slice(-25);
}

export function pages(n) {
	return `${n.toLocaleString()} page${n === 1 ? "" : "s"}`;
}

/* ---- ticks ---- */

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600];

/* Times at which a line is drawn: at least 88 pixels apart. */
export function timeTicks(from, to, width) {
	const least = (to - from) / 1000 / Math.max(1, width / 88);
	const step = (STEPS.find(s => s >= least) ?? 900) * 1000;
	const ticks = [];

	for (let t = Math.ceil(from / step) * step; t <= to; t += step)
		ticks.push(t);
	return ticks;
}

/* ---- the timeline ---- */

export class Timeline {
	constructor(root, onchange) {
		this.root = root;
		this.canvas = root.querySelector("canvas");
		this.walker = root.querySelector(".walker");
		this.tip = root.querySelector(".tip");
		this.onchange = onchange;
		this.marks = [];
		this.lost = [];			/* { t, nr } */
		this.hidden = new Set();	/* reasons */
		this.picked = null;		/* by the keyboard */
		this.hovered = null;
		this.from = this.to = 0;
		this.expire = 30000;
		this.left = 60;
		this.cursor = null;		/* a time another chart shows */
		this.scale = 1;
		this.alpha = .5;
		this.paths = Object.fromEntries(Object.entries(SHAPES)
			.map(([name, d]) => [name, new Path2D(d)]));
		this.readColours();
		this.listen();
	}

	readColours() {
		const style = getComputedStyle(document.documentElement);

		this.colour = {};
		for (const name of [...Object.keys(REASONS), "ink", "quiet", "grid",
				    "axis", "card", "bad", "limit", "focus"])
			this.colour[name] = style.getPropertyValue(`--${name}`).trim();
	}

	clear() {
		this.marks = [];
		this.lost = [];
		this.picked = this.hovered = null;
	}

	/* Returns false if it goes on where the last mark of its file ended. */
	add(mark) {
		const last = this.marks[this.marks.length - 1];

		if (last && follows(last, mark)) {
			join(last, mark);
			return false;
		}
		mark.requests = 1;
		this.marks.push(mark);
		if (this.marks.length > MAX_MARKS)
			this.marks.splice(0, MAX_MARKS / 10);
		return true;
	}

	/* Marks come about in order of time: the first not before @t, nearly. */
	firstAt(t) {
		let low = 0, high = this.marks.length;

		while (low < high) {
			const mid = (low + high) >> 1;

			if (this.marks[mid].t < t)
				low = mid + 1;
			else
				high = mid;
		}
		return low;
	}

	inView() {
		return this.marks.slice(this.firstAt(this.from))
			.filter(m => m.t <= this.to && !this.hidden.has(m.reason));
	}

	/* ---- where things are, in CSS pixels ---- */

	x(t) {
		return this.left + (t - this.from) / (this.to - this.from) *
			(this.width - this.left - 8);
	}

	get topAge() {
		return Math.max(5, Math.log10(Math.max(this.expire, 1)) + .35);
	}

	y(age) {
		const f = Math.log10(Math.max(age ?? 0, MIN_AGE)) - 1;
		const bottom = this.height - 40, top = 30;

		return bottom - Math.min(1, f / (this.topAge - 1)) * (bottom - top);
	}

	radius(mark) {
		return this.scale * Math.min(MAX_RADIUS, Math.max(2.6, 2 + .4 * Math.sqrt(mark.nr)));
	}

	/*
	 * A crowd is drawn smaller and thinner, so that it shows where it is dense;
	 * in steps, or it would breathe.
	 */
	setDensity(nr) {
		const crowd = 2 ** Math.round(Math.log2(Math.max(1, nr * 2.5 / this.width)));
		const scale = Math.max(.45, crowd ** -.25);

		if (scale !== this.scale)
			this.forgetLabels();
		this.scale = scale;
		this.alpha = Math.max(.12, .5 * crowd ** -.4);
	}

	/* ---- painting ---- */

	/* @from, @to: the time to show, ms. */
	draw(from, to) {
		this.from = from;
		this.to = to;
		this.resize();
		if (!this.width)
			return;
		this.drawFrame();
		this.drawMarks();
		this.drawExpiryName();
		this.drawPicked();
		this.tellWalker();
	}

	redraw() {
		if (this.to)
			this.draw(this.from, this.to);
	}

	resize() {
		const box = this.canvas.getBoundingClientRect();
		const dpr = window.devicePixelRatio || 1;
		const w = Math.round(box.width * dpr), h = Math.round(box.height * dpr);

		if (w !== this.canvas.width || h !== this.canvas.height) {
			this.canvas.width = w;
			this.canvas.height = h;
			this.forgetLabels();
		}
		this.width = box.width;
		this.height = box.height;
		this.dpr = dpr;
		this.ctx = this.canvas.getContext("2d");
		this.ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
	}

	forgetLabels() {
		for (const mark of this.marks)
			delete mark.label;
	}

	line(x1, y1, x2, y2, colour, dash = []) {
		const c = this.ctx;

		c.strokeStyle = colour;
		c.lineWidth = 1;
		c.setLineDash(dash);
		c.beginPath();
		c.moveTo(x1, y1);
		c.lineTo(x2, y2);
		c.stroke();
		c.setLineDash([]);
	}

	text(s, x, y, colour, align = "left", base = "middle") {
		const c = this.ctx;

		c.fillStyle = colour;
		c.textAlign = align;
		c.textBaseline = base;
		c.fillText(s, x, y);
	}

	drawFrame() {
		const c = this.ctx, right = this.width - 8, bottom = this.height - 22;

		c.clearRect(0, 0, this.width, this.height);
		c.font = "12px system-ui, sans-serif";
		this.text("age", this.left - 7, 10, this.colour.quiet, "right");
		for (const age of [10, 100, 1000, 10000, 100000]) {
			const y = Math.round(this.y(age)) + .5;

			this.line(this.left, y, right, y, this.colour.grid);
			this.text(age === 10 ? "≤ 10 ms" : age < 1000 ? `${age} ms` : `${age / 1000} s`,
				this.left - 7, y, this.colour.quiet, "right");
		}
		for (const t of timeTicks(this.from, this.to, right - this.left)) {
			const x = Math.round(this.x(t)) + .5;

			this.line(x, 6, x, bottom, this.colour.grid);
			this.text(clock.format(t), Math.min(x, right - 26), bottom + 6,
				this.colour.quiet, "center", "top");
		}
		this.line(this.left, bottom + .5, right, bottom + .5, this.colour.axis);
		this.drawExpiry(right);
		this.drawLost(bottom);
		if (this.cursor !== null && this.cursor >= this.from)
			this.line(this.x(this.cursor), 6, this.x(this.cursor), bottom, this.colour.quiet);
	}

	drawExpiry(right) {
		const y = Math.round(this.y(this.expire)) + .5;

		if (this.expire >= MIN_AGE)
			this.line(this.left, y, right, y, this.colour.limit, [5, 4]);
	}

	/* Over the marks, for it does not move with them. */
	drawExpiryName() {
		const text = `due after ${duration(this.expire)}`;
		const y = this.y(this.expire) - 10;

		if (this.expire < MIN_AGE)
			return;
		this.ctx.fillStyle = this.colour.card;
		this.ctx.fillRect(this.left + 2, y - 8, this.ctx.measureText(text).width + 10, 16);
		this.text(text, this.left + 6, y, this.colour.quiet);
	}

	drawLost(bottom) {
		for (const { t, nr } of this.lost) {
			if (t < this.from || t > this.to)
				continue;
			this.line(this.x(t), 6, this.x(t), bottom, this.colour.bad, [2, 3]);
			this.haloed(`${nr} not shown`, this.x(t) + 4, 11, this.colour.bad);
		}
	}

	haloed(s, x, y, colour, align = "left") {
		const c = this.ctx;

		c.textAlign = align;
		c.textBaseline = "middle";
		c.lineJoin = "round";
		c.lineWidth = 4;
		c.strokeStyle = this.colour.card;
		c.strokeText(s, x, y);
		this.text(s, x, y, colour, align);
	}

	drawMark(mark, solid) {
		const c = this.ctx, r = this.radius(mark), d = this.dpr;
		const path = this.paths[mark.reason] ?? this.paths.background;

		c.setTransform(d * r, 0, 0, d * r, this.x(mark.t) * d, this.y(mark.age) * d);
		c.fillStyle = c.strokeStyle = this.colour[mark.reason] ?? this.colour.quiet;
		c.globalAlpha = solid ? 1 : this.alpha;
		c.fill(path);
		c.globalAlpha = solid || this.scale === 1 ? 1 : Math.min(1, this.alpha * 2.4);
		c.lineWidth = 1.25 / r;
		c.stroke(path);
		c.globalAlpha = 1;
		c.setTransform(d, 0, 0, d, 0, 0);
		if (mark.err) {
			const x = this.x(mark.t), y = this.y(mark.age);

			this.line(x - r - 3, y - r - 3, x + r + 3, y + r + 3, this.colour.bad);
			this.line(x - r - 3, y + r + 3, x + r + 3, y - r - 3, this.colour.bad);
		}
	}

	drawMarks() {
		const c = this.ctx, view = this.inView();

		this.setDensity(view.length);
		c.save();
		c.beginPath();
		c.rect(this.left, 0, this.width - this.left, this.height - 22);
		c.clip();
		/* Small ones stand in front of large ones. */
		for (const mark of view.toSorted((a, b) => b.nr - a.nr))
			this.drawMark(mark);
		this.chooseLabels(view);
		for (const mark of view)
			if (mark.label)
				this.haloed(mark.label.text, this.x(mark.t) + mark.label.dx,
					this.y(mark.age) + mark.label.dy, this.colour.ink, "right");
		c.restore();
		this.count = view.length;
		this.root.querySelector(".empty").hidden = view.length > 0;
	}

	/*
	 * Beside or above a mark, to the left, where time has left room. All move
	 * alike, so what is free of others once stays so: labels do not jump. The
	 * largest first.
	 */
	chooseLabels(view) {
		const taken = view.filter(m => m.label).map(m => this.labelBox(m, m.label));
		const fresh = view.filter(m => m.label === undefined)
			.sort((a, b) => b.nr - a.nr);

		this.ctx.font = "12px system-ui, sans-serif";
		for (const mark of fresh) {
			mark.label = null;
			if (taken.length < MAX_LABELS)
				this.tryLabel(mark, taken, view);
		}
	}

	tryLabel(mark, taken, view) {
		const text = `${shortName(mark)} · ${mark.age === undefined ? "?" : mark.age < MIN_AGE ? "fresh" : duration(mark.age)}`;
		const width = this.ctx.measureText(text).width, r = this.radius(mark);

		for (const [dx, dy] of [[-r - 5, 0], [r, -r - 10], [r, r + 10]]) {
			const label = { text, width, dx, dy };
			const box = this.labelBox(mark, label);

			if (!this.isFree(box, mark, taken, view))
				continue;
			mark.label = label;
			taken.push(box);
			return;
		}
	}

	isFree(box, self, taken, view) {
		if (box.left < this.left || box.y < 12 || box.y > this.height - 30)
			return false;
		if (taken.some(b => box.left < b.right + 14 && b.left < box.right + 14 &&
				    Math.abs(box.y - b.y) < 17))
			return false;
		return !view.some(m => {
			const r = this.radius(m), x = this.x(m.t);

			return m !== self && x + r > box.left && x - r < box.right &&
				Math.abs(this.y(m.age) - box.y) < r + 7;
		});
	}

	labelBox(mark, label) {
		const right = this.x(mark.t) + label.dx;

		return { right, left: right - label.width, y: this.y(mark.age) + label.dy };
	}

	/* ---- one of them ---- */

	get shown() {
		return this.hovered ?? this.picked;
	}

	drawPicked() {
		const mark = this.shown, c = this.ctx;

		if (!mark || mark.t < this.from || this.hidden.has(mark.reason)) {
			this.tip.hidden = true;
			return;
		}
		this.drawMark(mark, true);
		c.strokeStyle = this.colour.ink;
		c.lineWidth = 2;
		c.beginPath();
		c.arc(this.x(mark.t), this.y(mark.age), this.radius(mark) * 1.3 + 4, 0, 2 * Math.PI);
		c.stroke();
		this.showTip(mark);
	}

	showTip(mark) {
		if (this.tip.hidden || this.tipMark !== mark) {
			this.fillTip(mark);
			this.tipMark = mark;
			this.tip.hidden = false;
		}
		const box = this.tip.getBoundingClientRect();
		const r = this.radius(mark) * 1.3 + 12;
		const x = this.x(mark.t), y = this.y(mark.age);
		const right = x + r + box.width < this.width;
		const left = right ? x + r : Math.max(0, x - r - box.width);

		this.tip.style.transform = `translate(${Math.round(Math.min(left, this.width - box.width))}px, ${
			Math.round(Math.max(0, Math.min(y - box.height / 2, this.height - box.height)))}px)`;
	}

	fillTip(mark) {
		const strong = document.createElement("strong");
		const file = document.createElement("p"), why = document.createElement("p");
		const list = document.createElement("dl");

		strong.append(shape(mark.reason), mark.reason);
		file.className = "file";
		file.textContent = fileOf(mark);
		why.className = "why";
		why.textContent = REASONS[mark.reason] ?? "";
		for (const [name, value] of describe(mark)) {
			const dt = document.createElement("dt"), dd = document.createElement("dd");

			dt.textContent = name;
			dd.textContent = value;
			if (name === "Failed")
				dd.className = "failed";
			list.append(dt, dd);
		}
		this.tip.replaceChildren(strong, file, why, list);
	}

	nearest(x, y) {
		let best = null, least = Infinity;

		for (const mark of this.inView()) {
			const d = Math.hypot(this.x(mark.t) - x, this.y(mark.age) - y) -
				this.radius(mark);

			if (d <= 5 && d <= least) {
				best = mark;
				least = d;
			}
		}
		return best;
	}

	/* ---- mouse and keyboard ---- */

	listen() {
		const w = this.walker;

		w.addEventListener("pointermove", e => {
			const box = this.canvas.getBoundingClientRect();
			const x = e.clientX - box.left;

			this.hovered = this.nearest(x, e.clientY - box.top);
			this.onchange(this.from + (x - this.left) /
				(this.width - this.left - 8) * (this.to - this.from));
		});
		w.addEventListener("pointerleave", () => {
			this.hovered = null;
			this.onchange(null);
		});
		w.addEventListener("click", () => {
			this.picked = this.hovered;
			this.redraw();
		});
		w.addEventListener("keydown", e => this.key(e));
		/* What covers something can be made to go, wherever the focus is. */
		document.addEventListener("keydown", e => {
			if (e.key !== "Escape" || this.tip.hidden)
				return;
			this.picked = this.hovered = null;
			this.redraw();
		});
		w.addEventListener("focus", () => this.redraw());
	}

	key(e) {
		const view = this.inView();
		const at = view.indexOf(this.picked);
		const last = view.length - 1;
		const to = {
			ArrowLeft: at < 0 ? last : at - 1,
			ArrowDown: at < 0 ? last : at - 1,
			ArrowRight: at < 0 ? last : at + 1,
			ArrowUp: at < 0 ? last : at + 1,
			PageUp: at + 10,
			PageDown: at - 10,
			Home: 0,
			End: last,
			Escape: -1,
		}[e.key];

		if (to === undefined)
			return;
		e.preventDefault();
		this.hovered = null;
		this.picked = e.key === "Escape" || last < 0 ? null :
			view[Math.min(Math.max(to, 0), last)];
		this.redraw();
	}

	/* A slider, to who does not see it: which of how many, and what it is. */
	tellWalker() {
		const w = this.walker, view = this.inView();
		const at = this.picked ? view.indexOf(this.picked) + 1 : 0;

		if (this.picked && !at)
			this.picked = null;		/* it has left */
		w.setAttribute("aria-valuemax", view.length);
		w.setAttribute("aria-valuenow", at);
		const text = at ? sentence(this.picked) :
			view.length ? `${view.length} shown, none chosen` : "none yet";
		/* The same again would be read again. */
		if (w.getAttribute("aria-valuetext") !== text)
			w.setAttribute("aria-valuetext", text);
	}
}

/* Does @mark go on where @last ended, for the same reason? */
function follows(last, mark) {
	return mark.ino === last.ino && mark.reason === last.reason &&
		mark.index === last.index + last.nr && mark.t - last.t < JOIN_MS &&
		!mark.err === !last.err;
}

function join(last, mark) {
	const larger = (a, b) => a === undefined || b > a ? b : a;

	last.t = mark.t;
	last.nr += mark.nr;
	last.bytes += mark.bytes;
	last.age = larger(last.age, mark.age);
	last.device = larger(last.device, mark.device);
	last.queue = larger(last.queue, mark.queue);
	last.requests++;
	delete last.label;
}

export function took(mark) {
	if (mark.device === undefined)
		return "not measured";
	return `${duration(mark.device)}${mark.queue >= .1 ? `, queued ${duration(mark.queue)}` : ""}`;
}

function describe(mark) {
	const rows = [
		["Written", clock.format(mark.t)],
		["Age", ageOf(mark)],
		["Size", `${bytes(mark.bytes)}: ${pages(mark.nr)} from ${mark.index.toLocaleString()}`],
		["Disk", took(mark)],
	];

	if (mark.requests > 1)
		rows.push(["Requests", `${mark.requests}, the slowest shown`]);

	if (mark.err)
		rows.push(["Failed", `error ${-mark.err}`]);
	return rows;
}

function sentence(mark) {
	return `${mark.reason}: ${fileOf(mark)}, ${pages(mark.nr)}, ${ageOf(mark)}, ` +
		`written ${clock.format(mark.t)}${mark.err ? ", failed" : ""}`;
}
