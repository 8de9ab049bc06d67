// SPDX-License-Identifier: Apache-2.0
#include "cli/display.h"
#include "base/json.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/findings.h"

#include <string.h>

#define BAR 24

// What an operator calls the source's states (docs/states.md); NULL: of no interest. Others are
// shown as they are.
static const struct {
	const char *phase, *text;
} phases[] = {
	{ "recording", NULL },
	{ "preparing", "preparing the destination" },
	{ "arming", "opening the data connections" },
	{ "copying", "copying GPU memory while the VM runs" },
	{ "flowing", "copying RAM while the VM runs" },
	{ "stopping", "pausing the VM" },
	{ "draining", "paused: emptying the guest's ports" },
	{ "handover", "paused: sending the rest" },
	{ "verifying", "paused: comparing both framebuffers" },
	{ "committing", "paused: committing" },
	{ "committed", "committed: the destination resumes the VM" },
	{ "unanswered", "the destination does not say whether it runs the VM" },
	{ "releasing", "removing the copy here" },
	{ "released", NULL },
	{ "aborting", "giving up: the VM goes on here" },
	{ "reclaiming", "the destination never ran the VM: taking it back" },
	{ "resuming", "resuming the VM here" },
	{ "aborted", NULL },
};

void display_init(struct display *d, FILE *out, bool terminal)
{
	*d = (struct display){ .out = out,
		.terminal = terminal,
		.round = -1,
		.quarter = -1,
		.ram_quarter = -1,
		.programs_quarter = -1 };
}

static void end_line(struct display *d)
{
	if (d->line_open)
		fputc('\n', d->out);
	d->line_open = false;
}

void display_say(struct display *d, const char *text)
{
	end_line(d);
	fprintf(d->out, "%s\n", text);
	fflush(d->out);
}

static void put_bar(FILE *out, uint64_t done, uint64_t total)
{
	int n = total ? (int)((double)done / (double)total * BAR) : 0;

	n = n > BAR ? BAR : n;
	fputc('[', out);
	for (int i = 0; i < BAR; i++)
		fputc(i < n ? '#' : '.', out);
	fputc(']', out);
}

static void put_ram(struct display *d)
{
	char left[16];

	size_format(d->ram_left, left, sizeof left);
	fputs("RAM ", d->out);
	put_bar(d->out, d->ram_total - d->ram_left, d->ram_total);
	fprintf(d->out, " %s left", left);
}

static void put_round(struct display *d)
{
	char bytes[16], total[16], rate[16];

	size_format(d->bytes, bytes, sizeof bytes);
	size_format(d->total, total, sizeof total);
	rate_format(d->rate, rate, sizeof rate);
	fprintf(d->out, "round %lld  vGPU ", (long long)d->round);
	put_bar(d->out, d->bytes, d->total);
	fprintf(d->out, " %s of %s, %s", bytes, total, rate);
	if (d->ram_total) {
		fputs("  ", d->out);
		put_ram(d);
	}
}

// On a terminal the line is drawn anew each time, elsewhere at each quarter of the way.
static void draw(struct display *d, uint64_t done, uint64_t total, int64_t *last,
	void (*put)(struct display *d))
{
	int64_t quarter = total ? (int64_t)(4.0 * (double)done / (double)total) : 0;

	if (d->terminal)
		fputs("\r\033[K", d->out);
	else if (quarter == *last)
		return;
	*last = quarter;
	put(d);
	d->line_open = d->terminal;
	if (!d->terminal)
		fputc('\n', d->out);
	fflush(d->out);
}

static void finish_round(struct display *d, const json_t *p)
{
	char bytes[16], dirty[16], rate[16];
	double ms = json_number_value(json_object_get(p, "ms"));
	uint64_t n = (uint64_t)json_int_or(p, "bytes", 0);

	uint64_t written = (uint64_t)json_int_or(p, "dirty_bytes", 0);

	d->round = -1;
	d->quarter = -1;
	if (!n && !written)
		return; // the vGPU holds nothing, or its guest left it alone
	size_format(n, bytes, sizeof bytes);
	size_format(written, dirty, sizeof dirty);
	rate_format(ms > 0 ? (double)n * 1000 / ms : 0, rate, sizeof rate);
	if (d->terminal)
		fputs("\r\033[K", d->out);
	d->line_open = false;
	fprintf(d->out, "round %lld  vGPU ", (long long)json_int_or(p, "round", 0));
	put_bar(d->out, 1, 1);
	fprintf(d->out, " %s in %.1f s, %s; written meanwhile %s\n", bytes, ms / 1000, rate, dirty);
	fflush(d->out);
}

static void on_phase(struct display *d, const char *phase)
{
	if (!strcmp(phase, d->phase))
		return;
	snprintf(d->phase, sizeof d->phase, "%s", phase);
	for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
		if (!strcmp(phases[i].phase, phase)) {
			if (phases[i].text)
				display_say(d, phases[i].text);
			return;
		}
	display_say(d, phase);
}

static void put_programs(struct display *d)
{
	put_bar(d->out, d->programs_done, d->programs);
	fprintf(d->out, " %s %llu of %llu programs", d->programs_text,
		(unsigned long long)d->programs_done, (unsigned long long)d->programs);
}

// Compilers take seconds, in which nothing else may move.
static void on_programs(struct display *d, const json_t *programs, const char *text)
{
	uint64_t all = (uint64_t)json_int_or(programs, "total", 0);

	if (!all)
		return;
	if (d->programs_text != text)
		d->programs_quarter = -1;
	d->programs_text = text;
	d->programs = all;
	d->programs_done = (uint64_t)json_int_or(programs, "done", 0);
	draw(d, d->programs_done, all, &d->programs_quarter, put_programs);
}

void display_progress(struct display *d, const json_t *p)
{
	const char *step = json_string_or(p, "step", NULL);
	const char *phase = json_string_or(p, "phase", NULL);
	int64_t round = json_int_or(p, "round", -1);

	if (step) {
		findings_print(json_object_get(p, "findings"), d->out);
		display_say(d, step);
	}
	if (phase)
		on_phase(d, phase);
	if (json_object_get(p, "ram_total_bytes")) {
		d->ram_total = (uint64_t)json_int_or(p, "ram_total_bytes", 0);
		d->ram_left = (uint64_t)json_int_or(p, "ram_remaining_bytes", 0);
		d->ram_left = d->ram_left > d->ram_total ? d->ram_total : d->ram_left;
	}
	on_programs(d, json_object_get(p, "source_programs"), "here: compiled for the way");
	on_programs(d, json_object_get(p, "destination_programs"), "the destination has built");
	if (json_object_get(p, "source_programs") || json_object_get(p, "destination_programs"))
		return;
	if (json_bool_or(p, "round_done", false)) {
		finish_round(d, p);
		return;
	}
	if (round < 0) {
		// RAM on its own: while no round of a vGPU has the line.
		if (d->ram_total && d->round < 0)
			draw(d, d->ram_total - d->ram_left, d->ram_total, &d->ram_quarter, put_ram);
		return;
	}
	if (round != d->round)
		d->quarter = -1;
	d->round = round;
	d->bytes = (uint64_t)json_int_or(p, "bytes", 0);
	d->total = (uint64_t)json_int_or(p, "total_bytes", 0);
	d->rate = json_number_value(json_object_get(p, "rate_bytes_per_s"));
	if (d->total)
		draw(d, d->bytes, d->total, &d->quarter, put_round);
}

static double number(const json_t *doc, const char *key)
{
	return json_number_value(json_object_get(doc, key));
}

static void say_parts(struct display *d, const json_t *stun)
{
	static const char *const parts[] = { "drain", "vgpu", "ram", "device", "seal", "commit",
		"resume" };

	fputs("  of it", d->out);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		char key[20];
		snprintf(key, sizeof key, "%s_ms", parts[i]);
		fprintf(d->out, "%s %s %.0f", i ? "," : "", parts[i], number(stun, key));
	}
	fputs(" ms\n", d->out);
}

static void say_failure(struct display *d, const json_t *result, int exit)
{
	const json_t *reason = json_object_get(result, "reason");
	const char *why = json_string_or(reason, "message", "no reason given");
	json_t *remedy;
	size_t i;

	if (exit == EXIT_PERSON)
		fprintf(d->out, "VM '%s' needs a person's decision (`ferry recover`): %s\n",
			json_string_or(result, "vm", "?"), why);
	else
		fprintf(d->out, "VM '%s' was not moved, %s in phase %s: %s\n",
			json_string_or(result, "vm", "?"),
			json_string_or(result, "outcome", "failed"),
			json_string_or(result, "phase", "?"), why);
	json_array_foreach(json_object_get(reason, "remedies"), i, remedy) fprintf(
		d->out, "  -> %s\n", json_string_value(remedy) ? json_string_value(remedy) : "");
}

void display_result(struct display *d, const json_t *result, int exit)
{
	const json_t *verified = json_object_get(result, "verified");
	const json_t *forecast = json_object_get(result, "forecast_at_switchover_ms");

	end_line(d);
	if (strcmp(json_string_or(result, "outcome", ""), "completed")) {
		say_failure(d, result, exit);
		return;
	}
	fprintf(d->out, "VM '%s' runs on host %s after %.1f s\n", json_string_or(result, "vm", "?"),
		json_string_or(result, "to", "?"), number(result, "total_ms") / 1000);
	fprintf(d->out, "paused %.0f ms", number(result, "stun_ms"));
	if (json_is_number(forecast))
		fprintf(d->out, ", forecast %.0f", json_number_value(forecast));
	fputc('\n', d->out);
	say_parts(d, json_object_get(result, "stun"));
	if (json_is_boolean(verified))
		fprintf(d->out, "framebuffers compared: %s, %.0f ms\n",
			json_is_true(verified) ? "equal" : "DIFFERENT",
			number(result, "verify_ms"));
	fflush(d->out);
}
