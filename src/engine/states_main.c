// SPDX-License-Identifier: Apache-2.0
// Prints docs/states.md from the engine's tables: every arrow is an entry, none is drawn by hand.
#include "engine/dest.h"
#include "engine/source.h"

#include <stdio.h>

struct machine {
	const char *title;
	unsigned states;
	const char *(*name)(unsigned s);
	uint32_t (*next)(unsigned s, enum event_type e);
};

static const char *source_name(unsigned s)
{
	return source_state_name((enum source_state)s);
}

static uint32_t source_next(unsigned s, enum event_type e)
{
	return source_next_states((enum source_state)s, e);
}

static const char *dest_name(unsigned s)
{
	return dest_state_name((enum dest_state)s);
}

static uint32_t dest_next(unsigned s, enum event_type e)
{
	return dest_next_states((enum dest_state)s, e);
}

// A state's name as mermaid takes it: without a dash.
static void print_id(const char *name)
{
	for (; *name; name++)
		putchar(*name == '-' ? '_' : *name);
}

static void print_arrows(const struct machine *m, unsigned from)
{
	for (unsigned to = 0; to < m->states; to++) {
		unsigned n = 0;
		for (enum event_type e = 0; e < EV_COUNT && to != from; e++) {
			if (!(m->next(from, e) & (1u << to)))
				continue;
			if (n++ == 0) {
				printf("  ");
				print_id(m->name(from));
				printf(" --> ");
				print_id(m->name(to));
				printf(": ");
			} else {
				printf(", ");
			}
			printf("%s", event_name(e));
		}
		if (n)
			putchar('\n');
	}
}

int main(void)
{
	static const struct machine machines[] = {
		{ "The source", SOURCE_STATES, source_name, source_next },
		{ "The destination", DEST_STATES, dest_name, dest_next },
	};

	printf("# The controllers' states\n\nMade by `engine-states` from the tables in "
	       "`src/engine/source.c` and `src/engine/dest.c`; do not edit.\nEvents that leave a "
	       "state alone are not drawn. After a restart of the daemon a controller\nstarts in "
	       "the state that its durable record names ([migration.md](migration.md)).\n");
	for (unsigned i = 0; i < sizeof machines / sizeof machines[0]; i++) {
		printf("\n## %s\n\n```mermaid\nstateDiagram-v2\n  [*] --> new\n",
			machines[i].title);
		for (unsigned s = 0; s < machines[i].states; s++)
			print_arrows(&machines[i], s);
		printf("```\n");
	}
	return 0;
}
