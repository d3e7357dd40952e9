// SPDX-License-Identifier: BSD-2-Clause
/*
 * client/ctl/top_view.c - what pagefsctl top shows
 *
 *   pagefs /mnt from /data, up 0:10:20                          h help  q quit
 *   memory  [dirty|cached|slab|other|        free       ]
 *   dirty   [######        |             |    ]  background, limit
 *   rates
 *   dirty   ....::::::||||||    graphs: the newest at the right
 *   FILES   what is left, two thirds
 *   CLIENTS and one third
 *
 * Each line is made for the columns there are, and cut: a screen that is too
 * small for all shows the upper part of it. Where the locale has no UTF-8,
 * graphs are made of other characters, and names are escaped.
 *
 * The only file that knows curses.
 */
#include <curses.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "top.h"

#define LABEL	11			/* columns of what begins a line */

enum color { C_NONE, C_DIRTY, C_CACHED, C_SLAB, C_OTHER, C_GRAPH, C_WARN };

static SCREEN *screen;
static bool utf8, colors;

/* ---- the terminal ---- */

int view_open(void)
{
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return ctl_fail(0, "the terminal's type is not known: TERM=%s",
				getenv("TERM") ?: "");
	utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	/* https://no-color.org */
	colors = has_colors() && !(getenv("NO_COLOR") && *getenv("NO_COLOR"));
	if (colors) {
		start_color();
		use_default_colors();
		init_pair(C_DIRTY, COLOR_YELLOW, -1);
		init_pair(C_CACHED, COLOR_GREEN, -1);
		init_pair(C_SLAB, COLOR_BLUE, -1);
		init_pair(C_OTHER, COLOR_MAGENTA, -1);
		init_pair(C_GRAPH, COLOR_CYAN, -1);
		init_pair(C_WARN, COLOR_RED, -1);
	}
	cbreak();
	noecho();
	nonl();
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	return 0;
}

void view_close(void)
{
	endwin();
	delscreen(screen);
}

int view_key(void)
{
	switch (getch()) {
	case ERR:
		return KEY_NOTHING;
	case 'q':
	case 27:
		return KEY_QUIT_TOP;
	case 'h':
	case '?':
		return KEY_HELP_TOP;
	case 'p':
	case ' ':
		return KEY_PAUSE_TOP;
	case KEY_UP:
	case 'k':
		return KEY_LINE_UP;
	case KEY_DOWN:
	case 'j':
		return KEY_LINE_DOWN;
	case KEY_PPAGE:
		return KEY_PAGE_UP;
	case KEY_NPAGE:
		return KEY_PAGE_DOWN;
	case KEY_HOME:
	case 'g':
		return KEY_FIRST;
	case 'b':
		return KEY_SORT + SORT_BUSY;
	case 'c':
		return KEY_SORT + SORT_CACHED;
	case 'd':
		return KEY_SORT + SORT_DIRTY;
	case 'm':
		return KEY_SORT + SORT_MAPPED;
	case 'a':
		return KEY_SORT + SORT_AGE;
	case 'n':
		return KEY_SORT + SORT_PATH;
	case 12:			/* ^L */
		clearok(stdscr, TRUE);
		return KEY_REDRAW_TOP;
	}
	return KEY_SOMETHING;
}

/* ---- text that ends at the edge ---- */

static int room(void)
{
	int y, x;

	getyx(stdscr, y, x);
	(void)y;
	return COLS - x;
}

/* As many characters of @text, which is the locale's, as there are columns for. */
static void put(const char *text)
{
	mbstate_t state = { 0 };
	wchar_t c;
	size_t n;
	int width;

	while (*text) {
		n = mbrtowc(&c, text, strlen(text), &state);
		if (n == (size_t)-1 || n == (size_t)-2) {
			/* UTF-8, in a locale that is not. */
			memset(&state, 0, sizeof(state));
			c = L'?';
			n = 1;
		}
		width = wcwidth(c);
		/* The last column stays empty: filled, the cursor is at the
		 * beginning of the next line. */
		if (width < 0 || width >= room())
			return;
		addnwstr(&c, 1);
		text += n;
	}
}

static void putf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void putf(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(text);
}

static void put_name(const char *name)
{
	char *text = name_text(name);

	put(text ?: "?");
	free(text);
}

static void use_color(enum color color)
{
	attr_set(color == C_WARN ? A_BOLD : A_NORMAL,
		 colors ? (short)color : 0, NULL);
}

/* Return: false: there is no such line. */
static bool begin_line(int *y, const char *label)
{
	if (*y >= LINES)
		return false;
	move((*y)++, 0);
	use_color(C_NONE);
	if (label) {
		attron(A_BOLD);
		putf("%-*s", LABEL, label);
		attroff(A_BOLD);
	}
	return true;
}

#define SZ(kb)	size_text((uint64_t)(kb), (char [SIZE_TEXT]){ 0 })

/* ---- bars ---- */

struct segment {
	const char *name;
	char mark;
	enum color color;
	double kb;
};

/* @of fills @width columns. Each that is not 0 has one column at least. */
static void draw_segments(const struct segment *s, int nr, double of, int width)
{
	int left = width, n;

	put("[");
	for (int i = 0; i < nr && left > 0; i++) {
		n = of > 0 ? (int)(s[i].kb / of * width + 0.5) : 0;
		if (!n && s[i].kb > 0)
			n = 1;
		use_color(s[i].color);
		for (; n > 0 && left > 0; n--, left--)
			putf("%c", s[i].mark);
	}
	use_color(C_NONE);
	while (left-- > 0)
		put(" ");
	put("]");
}

static double less(uint64_t a, uint64_t b)
{
	return a > b ? (double)(a - b) : 0;
}

static void draw_memory(const struct top *top, int *y)
{
	const uint64_t *v = top->now.v;
	uint64_t dirty = v[S_DIRTY] + v[S_WRITEBACK];
	uint64_t slab = v[S_SLAB] + v[S_PAGE_TABLES];
	const struct segment segments[] = {
		{ "dirty", '#', C_DIRTY, (double)dirty },
		{ "clean", '=', C_CACHED, less(v[S_CACHED], dirty) },
		{ "slab", '+', C_SLAB, (double)slab },
		{ "other", '-', C_OTHER, less(v[S_MEM_TOTAL], v[S_MEM_FREE] +
					      v[S_CACHED] + slab) },
	};

	if (!begin_line(y, "memory"))
		return;
	draw_segments(segments, ARRAY_SIZE(segments), (double)v[S_MEM_TOTAL],
		      COLS - LABEL - 12);
	putf(" %s", SZ(v[S_MEM_TOTAL]));
	if (!begin_line(y, ""))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(segments); i++) {
		use_color(segments[i].color);
		putf("%c", segments[i].mark);
		use_color(C_NONE);
		putf(" %s %s  ", segments[i].name, SZ(segments[i].kb));
	}
	putf("free %s", SZ(v[S_MEM_FREE]));
	if (!begin_line(y, "lists"))
		return;
	putf("active %s, inactive %s; mapped %s", SZ(v[S_ACTIVE]),
	     SZ(v[S_INACTIVE]), SZ(v[S_MAPPED]));
}

static void draw_dirty(const struct top *top, int *y)
{
	const uint64_t *v = top->now.v;
	const struct segment segments[] = {
		{ "dirty", '#', C_DIRTY, (double)v[S_DIRTY] },
		{ "writeback", 'w', C_GRAPH, (double)v[S_WRITEBACK] },
	};
	int width = COLS - LABEL - 12, line;
	int at;

	if (!begin_line(y, "dirty"))
		return;
	line = *y - 1;
	draw_segments(segments, ARRAY_SIZE(segments), (double)v[S_DIRTY_LIMIT],
		      width);
	putf(" %s", SZ(v[S_DIRTY_LIMIT]));
	if (v[S_DIRTY_LIMIT] && width > 0) {
		at = (int)((double)v[S_BACKGROUND_LIMIT] /
			   (double)v[S_DIRTY_LIMIT] * width);
		if (at < width)
			mvaddch(line, LABEL + 1 + at, '|');
	}
	if (!begin_line(y, ""))
		return;
	putf("# dirty %s  w writeback %s  | background from %s; %u flushers",
	     SZ(v[S_DIRTY]), SZ(v[S_WRITEBACK]), SZ(v[S_BACKGROUND_LIMIT]),
	     (unsigned int)v[S_FLUSHERS]);
}

/* ---- rates ---- */

static double rate(const struct top *top, enum sample_item item)
{
	return sample_rate(&top->last, &top->now, item);
}

static void draw_rates(const struct top *top, int *y)
{
	const char *between = "";
	double pauses = rate(top, S_PAUSED);

	if (!begin_line(y, "rates"))
		return;
	putf("in %s/s  out %s/s  dirtied %s/s  hits %.0f/s  misses %.0f/s  faults %.0f/s (%.0f major)",
	     SZ(rate(top, S_PGIN)), SZ(rate(top, S_PGOUT)),
	     SZ(rate(top, S_DIRTIED)), rate(top, S_HITS), rate(top, S_MISSES),
	     rate(top, S_FAULTS), rate(top, S_MAJOR_FAULTS));
	if (!begin_line(y, "written"))
		return;
	for (int i = 0; i < NR_WB_REASONS; i++) {
		double kb = rate(top, wb_reasons[i].item);

		if (kb < 1)
			continue;
		putf("%s%s %s/s", between, wb_reasons[i].name, SZ(kb));
		between = "  ";
	}
	put(*between ? "" : "-");
	if (pauses > 0) {
		use_color(C_WARN);
		putf("  writers pause: %.1f/s", pauses);
		use_color(C_NONE);
	}
}

/* ---- graphs ---- */

/* The @nth of eight heights, 0: nothing. */
static void put_height(unsigned int nth)
{
	static const char *const blocks[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆",
					      "▇", "█" };
	static const char *const ascii[] = { " ", ".", ".", ":", "-", "=", "+",
					     "*", "#" };

	put(utf8 ? blocks[nth] : ascii[nth]);
}

/* @most: what fills it; 0: the largest that is seen. */
static void draw_graph(const struct top *top, enum top_graph g,
		       const char *label, double most, const char *unit, int *y)
{
	int width = COLS - LABEL - 12;
	unsigned int first, nr = top->nr_history;
	const float *h = top->history[g];

	if (width <= 0 || !begin_line(y, label))
		return;
	first = nr > (unsigned int)width ? nr - (unsigned int)width : 0;
	for (unsigned int i = first; i < nr; i++)
		if (h[i] > most)
			most = h[i];
	use_color(g == GRAPH_DIRTY ? C_DIRTY : C_GRAPH);
	for (int i = width - (int)(nr - first); i > 0; i--)
		put(" ");
	for (unsigned int i = first; i < nr; i++) {
		double height = most > 0 ? h[i] / most * 8 : 0;

		put_height(height > 0 && height < 1 ? 1 :
			   (unsigned int)(height + 0.5));
	}
	use_color(C_NONE);
	putf(" %s%s", nr ? SZ(h[nr - 1]) : "0", unit);
}

/* ---- lists ---- */

static void draw_heading(int *y, const char *text)
{
	if (!begin_line(y, NULL))
		return;
	attron(A_REVERSE);
	put(text);
	while (room() > 1)
		put(" ");
	attroff(A_REVERSE);
}

static void draw_file(const struct top *top, const struct top_file *f, int *y)
{
	char age[SIZE_TEXT];

	if (!begin_line(y, NULL))
		return;
	putf("%8s %8s %7s %7s %7s %7s  %-10s ",
	     f->busy >= 0.5 ? SZ(f->busy + 0.5) : "-",
	     top->tracing ? f->written >= 0.5 ? SZ(f->written + 0.5) : "-" : "?",
	     SZ(f->line.cached_kb), SZ(f->line.dirty_kb), SZ(f->line.mapped_kb),
	     f->line.dirty_kb ? age_text(f->line.oldest_ms, age) : "-",
	     f->line.policy);
	put_name(f->line.path);
}

static void draw_files(struct top *top, int *y, int lines)
{
	static const char *const names[NR_SORTS] = {
		"busy", "cached", "dirty", "mapped", "age", "name",
	};
	int end = *y + lines;
	char title[96];

	snprintf(title, sizeof(title),
		 "  BUSY/s  WRITE/s  CACHED   DIRTY  MAPPED     AGE  POLICY     PATH, by %s",
		 names[top->sort]);
	draw_heading(y, title);
	if (top->files_err && begin_line(y, NULL))
		put(ctl_explain(top->ctl, top->files_err));
	for (size_t i = top->scroll; i < top->nr_files && *y < end; i++)
		draw_file(top, &top->files[i], y);
	*y = end;
}

static void draw_clients(const struct top *top, int *y)
{
	draw_heading(y, "  FAULT/s     PID USER        SIZE     RSS   DIRTY  COMMAND");
	for (size_t i = 0; i < top->nr_clients; i++) {
		const struct client_line *c = &top->clients[i].line;

		if (!begin_line(y, NULL))
			return;
		if (top->tracing)
			putf("%9.0f ", top->clients[i].faults);
		else
			putf("%9s ", "?");
		putf("%7d %-8s %7s %7s %7s  ", c->pid, c->user,
		     c->known ? SZ(c->mapped_kb) : "?",
		     c->known ? SZ(c->rss_kb) : "?",
		     c->known ? SZ(c->dirty_kb) : "?");
		put_name(c->command);
	}
}

/* ---- all of it ---- */

static void draw_title(const struct top *top, int *y)
{
	char up[SIZE_TEXT];

	if (!begin_line(y, NULL))
		return;
	if (top->paused) {
		use_color(C_WARN);
		put("PAUSED ");
		use_color(C_NONE);
	}
	put("pagefs ");
	put_name(top->ctl->mount);
	put(" from ");
	put_name(top->ctl->source);
	putf(", up %s, %zu client%s", time_text(top->uptime, up),
	     top->nr_clients, top->nr_clients == 1 ? "" : "s");
	if (top->lost)
		putf(", %llu events lost", (unsigned long long)top->lost);
	if (room() > 18) {
		move(*y - 1, COLS - 16);
		put("h help  q quit");
	}
}

static void draw_help(int *y)
{
	static const char *const lines[] = {
		"",
		"  q  end                      h  this, and back",
		"  p  pause, and go on         ^L draw anew",
		"  up, down, page up, page down, g (first): files",
		"",
		"  Files by",
		"  b  how busy they are        c  what is cached of them",
		"  d  what is dirty            m  what is mapped",
		"  a  age of the oldest dirt   n  name",
		"",
		"  BUSY/s   bytes that came into the cache, left it, became dirty or were",
		"           written to the disk, a second",
		"  WRITE/s  of these, written to the disk; ? if the trace is not ours to read",
		"  AGE      for how long the oldest dirty page has been so",
		"  FAULT/s  page faults that the daemon answered",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (begin_line(y, NULL))
			put(lines[i]);
}

void view_draw(struct top *top)
{
	int y = 0, left;

	erase();
	draw_title(top, &y);
	if (top->help) {
		draw_help(&y);
		refresh();
		return;
	}
	draw_memory(top, &y);
	draw_dirty(top, &y);
	draw_rates(top, &y);
	draw_graph(top, GRAPH_DIRTY, "dirty", (double)top->now.v[S_DIRTY_LIMIT],
		   "", &y);
	draw_graph(top, GRAPH_WRITEBACK, "writeback", 0, "", &y);
	draw_graph(top, GRAPH_IN, "in", 0, "/s", &y);
	draw_graph(top, GRAPH_OUT, "out", 0, "/s", &y);
	left = LINES - y;
	/* Clients have what they need of the lower third. */
	if (left > 2) {
		int clients = (int)top->nr_clients + 1;

		clients = clients > left / 3 ? left / 3 : clients;
		draw_files(top, &y, left - clients);
		if (clients > 1 || (clients == 1 && top->nr_clients))
			draw_clients(top, &y);
	}
	refresh();
}
