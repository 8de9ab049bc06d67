// SPDX-License-Identifier: Apache-2.0
// The whole framebuffer digested afresh, for --verify: on a thread of its own. Main thread.
#pragma once

#include "base/loop.h"
#include "pages/digest.h"

struct move_root;

// NULL error on success. root.pages: those that are not zero.
typedef void (*move_root_fn)(
	void *arg, struct digest_root root, double ms, const struct ferry_error *e);

// Calls fn once, later. Nothing may write to the page space until then.
int move_root_begin(struct loop *l, struct page_space *s, move_root_fn fn, void *arg,
	struct move_root **ret, struct ferry_error *e);

// To be called once for each, in fn, after it, or earlier (fn is then not called; the thread stops
// within milliseconds and is waited for). NULL-safe, returns NULL.
struct move_root *move_root_end(struct move_root *m);
