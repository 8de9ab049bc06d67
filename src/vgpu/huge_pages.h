// SPDX-License-Identifier: Apache-2.0
// Keeps the framebuffer in huge pages (pages/page_huge.h): looks every two seconds whether there is
// something to merge, and merges it on a thread of its own, a few milliseconds at a time with four times
// as long in between. Not while a migration comes in, nor while a tracker is at work. Main thread only.
#pragma once

#include "base/error.h"
#include "base/loop.h"
#include "pages/page_space.h"

struct huge_pages;

// `s` is borrowed. The environment's FERRY_HUGE_PAGES=off leaves all as it is; =eager looks every 20 ms,
// for tests.
int huge_pages_new(
	struct loop *l, struct page_space *s, struct huge_pages **ret, struct ferry_error *e);
// Waits for what is being merged. NULL-safe, returns NULL.
struct huge_pages *huge_pages_free(struct huge_pages *h);
