// SPDX-License-Identifier: Apache-2.0
// The legal paths, written down a second time from the design, against the tables.
#include "engine/dest.h"
#include "engine/source.h"
#include "base/test.h"

// "from: to to ..." for every state; from itself is always legal.
static const char *const source_paths[SOURCE_STATES] = {
	[SOURCE_NEW] = "recording",
	[SOURCE_RECORDING] = "preparing aborting",
	[SOURCE_PREPARING] = "arming aborting",
	[SOURCE_ARMING] = "copying flowing aborting",
	[SOURCE_COPYING] = "flowing stopping aborting",
	[SOURCE_FLOWING] = "copying stopping aborting",
	[SOURCE_STOPPING] = "draining handover aborting",
	[SOURCE_DRAINING] = "handover aborting",
	[SOURCE_HANDOVER] = "verifying committing aborting",
	[SOURCE_VERIFYING] = "committing aborting",
	[SOURCE_COMMITTING] = "committed aborting",
	[SOURCE_COMMITTED] = "unanswered releasing reclaiming",
	[SOURCE_UNANSWERED] = "releasing reclaiming",
	[SOURCE_RELEASING] = "released",
	[SOURCE_RELEASED] = "",
	[SOURCE_ABORTING] = "resuming aborted",
	[SOURCE_RECLAIMING] = "resuming aborted",
	[SOURCE_RESUMING] = "aborted",
	[SOURCE_ABORTED] = "",
};

static const char *const dest_paths[DEST_STATES] = {
	[DEST_NEW] = "recording",
	[DEST_RECORDING] = "starting discarding",
	[DEST_STARTING] = "receiving discarding",
	[DEST_RECEIVING] = "sealing discarding",
	[DEST_SEALING] = "sealed discarding renouncing",
	[DEST_SEALED] = "owning discarding renouncing",
	[DEST_OWNING] = "taking resuming renouncing",
	[DEST_TAKING] = "resuming renouncing",
	[DEST_RESUMING] = "running pending lost",
	[DEST_PENDING] = "resuming renouncing",
	[DEST_RUNNING] = "",
	[DEST_INSPECTING] = "running sealed taking resuming renouncing lost",
	[DEST_LOST] = "",
	[DEST_DISCARDING] = "discarded",
	[DEST_DISCARDED] = "",
	[DEST_RENOUNCING] = "never-ran",
	[DEST_NEVER_RAN] = "",
};

static bool lists(const char *paths, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = paths; (p = strstr(p, name)); p += n)
		if ((p == paths || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

static uint32_t all_next(bool source, unsigned from)
{
	uint32_t next = 0;

	for (enum event_type e = 0; e < EV_COUNT; e++)
		next |= source ? source_next_states(from, e) : dest_next_states(from, e);
	return next;
}

static void test_tables_have_exactly_the_legal_pairs(void)
{
	for (unsigned from = 0; from < SOURCE_STATES; from++)
		for (unsigned to = 0; to < SOURCE_STATES; to++)
			if (from != to)
				CHECK_EQ((all_next(true, from) >> to) & 1,
					lists(source_paths[from], source_state_name(to)));
	for (unsigned from = 0; from < DEST_STATES; from++)
		for (unsigned to = 0; to < DEST_STATES; to++)
			if (from != to)
				CHECK_EQ((all_next(false, from) >> to) & 1,
					lists(dest_paths[from], dest_state_name(to)));
}

// Breadth first, over the tables, leaving out what `skip` names.
static uint32_t reach(bool source, uint32_t start, unsigned skip_state, int skip_event)
{
	uint32_t seen = start, before = 0;

	while (seen != before) {
		before = seen;
		for (unsigned s = 0; s < 32; s++) {
			if (!(before & (1u << s)) || s == skip_state)
				continue;
			if (s >= (source ? (unsigned)SOURCE_STATES : (unsigned)DEST_STATES))
				break;
			for (int e = 0; e < EV_COUNT; e++)
				if (e != skip_event)
					seen |= source ? source_next_states(s, e)
						       : dest_next_states(s, e);
		}
	}
	return seen;
}

#define BIT(s) (1u << (s))

static void test_no_way_around_the_laws(void)
{
	// Every state but INSPECTING, where only a restart leads, can be reached.
	CHECK_EQ(reach(true, BIT(SOURCE_NEW), 99, -1), BIT(SOURCE_STATES) - 1);
	CHECK_EQ(reach(false, BIT(DEST_NEW), 99, -1),
		(BIT(DEST_STATES) - 1) & ~BIT(DEST_INSPECTING));
	// No release without COMMITTED on disk.
	CHECK(!(reach(true, BIT(SOURCE_NEW), SOURCE_COMMITTING, -1) & BIT(SOURCE_RELEASING)));
	// After COMMITTED the way back needs a new record.
	CHECK(!(reach(true, BIT(SOURCE_COMMITTED), SOURCE_RECLAIMING, -1) & BIT(SOURCE_RESUMING)));
	// No resumption on purpose without a record.
	CHECK(!(reach(true, BIT(SOURCE_NEW), 99, EV_RECORD_WRITTEN) & BIT(SOURCE_RESUMING)));
	// The destination runs only through OWNING, and OWNING only from SEALED.
	CHECK(!(reach(false, BIT(DEST_NEW), DEST_OWNING, -1) & BIT(DEST_RUNNING)));
	CHECK(!(reach(false, BIT(DEST_NEW), DEST_SEALED, -1) & BIT(DEST_OWNING)));
	// Sealed, only the source's ABORTED lets it destroy its copy; only the source's COMMITTED or a
	// person lets it run.
	CHECK(!(reach(false, BIT(DEST_SEALED), 99, EV_ABORTED) & BIT(DEST_DISCARDING)));
	for (enum event_type e = 0; e < EV_COUNT; e++)
		CHECK_EQ((dest_next_states(DEST_SEALED, e) & BIT(DEST_OWNING)) != 0,
			e == EV_COMMITTED || e == EV_RUN_HERE);
	// NEVER_RAN is for ever.
	CHECK_EQ(reach(false, BIT(DEST_NEVER_RAN), 99, -1), BIT(DEST_NEVER_RAN));
	CHECK_EQ(reach(false, BIT(DEST_RENOUNCING), 99, -1),
		BIT(DEST_NEVER_RAN) | BIT(DEST_RENOUNCING));
}

static void test_resuming_by_itself_is_legal_only_before_committed(void)
{
	for (enum source_state s = SOURCE_COMMITTING; s <= SOURCE_RELEASED; s++) {
		struct source x = { .state = s };
		struct actions out = { .n = 0 };
		struct event ev = { .type = EV_VM_RESUMED };
		CHECK_EQ(source_next_states(s, EV_VM_RESUMED), 0);
		source_step(&x, &ev, &out);
		CHECK_EQ(x.state, s);
		CHECK_EQ(out.n, 2);
		CHECK_EQ(out.list[0].type, ACT_ILLEGAL);
		CHECK_EQ(out.list[1].type, ACT_FREEZE_VM);
	}
	for (enum source_state s = SOURCE_STOPPING; s <= SOURCE_VERIFYING; s++)
		CHECK_EQ(source_next_states(s, EV_VM_RESUMED), BIT(SOURCE_ABORTING));
}

// Any event in any state, with any waits: stays within the table and never asserts.
static void test_every_event_in_every_state(void)
{
	for (unsigned round = 0; round < 64; round++)
		for (enum event_type e = 0; e < EV_COUNT; e++) {
			struct event ev = { .type = e, .now_ns = round };
			for (unsigned s = 0; s < SOURCE_STATES; s++) {
				struct source x = { .state = s,
					.waits = 1u << (round % 8),
					.cfg.gpu = round & 8,
					.cfg.mode = round % MODE_COUNT,
					.rounds = round,
					.cfg.verify = round & 16,
					.gpu_gone = round & 32,
					.writing = ev.record };
				struct actions out = { .n = 0 };
				source_step(&x, &ev, &out);
				uint32_t may = source_next_states(s, e);
				CHECK(x.state == s || (may & BIT(x.state)));
				CHECK_STR(event_name(e), event_name(e));
			}
			for (unsigned s = 0; s < DEST_STATES; s++) {
				struct dest x = { .state = s,
					.waits = 1u << (round % 2),
					.cfg.gpu = round & 8,
					.owner = round & 16,
					.writing = ev.record };
				struct actions out = { .n = 0 };
				dest_step(&x, &ev, &out);
				CHECK(x.state == s || (dest_next_states(s, e) & BIT(x.state)));
			}
		}
}

static void test_names(void)
{
	for (enum event_type e = 0; e < EV_COUNT; e++)
		CHECK(strcmp(event_name(e), "?"));
	for (enum action_type a = 0; a < ACT_COUNT; a++)
		CHECK(strcmp(action_name(a), "?"));
	CHECK_STR(event_name(EV_COUNT), "?");
	for (enum record_state r = 1; r < RECORD_COUNT; r++)
		CHECK_EQ(record_from_name(record_name(r)), r);
	CHECK_EQ(record_from_name("committe"), RECORD_NONE);
	CHECK_EQ(record_from_name(""), RECORD_NONE);
}

int main(void)
{
	RUN(test_tables_have_exactly_the_legal_pairs);
	RUN(test_no_way_around_the_laws);
	RUN(test_resuming_by_itself_is_legal_only_before_committed);
	RUN(test_every_event_in_every_state);
	RUN(test_names);
	return 0;
}
