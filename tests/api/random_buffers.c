// SPDX-License-Identifier: Apache-2.0
#include "random.h"

#include <string.h>

static void draw_range(const struct thing *t, size_t *offset, size_t *n)
{
	*offset = draw(t->bytes);
	*n = 1 + draw(t->bytes - *offset);
	if (draw(2) && *n > 5000)
		*n = 5000;
}

void write_range(void)
{
	struct thing *t = any_buffer(true);
	cl_command_queue q = any_queue();
	const uint8_t *from = source + draw(1000);
	cl_event list[2], e;
	size_t at, n;

	draw_range(t, &at, &n);
	memcpy(t->at + at, from, n);
	OK(clEnqueueWriteBuffer(q, t->m, BLOCKING(), at, n, from, WAITS, &e));
	now_behind(q, e);
}

void read_range(void)
{
	struct thing *t = any_buffer(true);
	cl_command_queue q = any_queue();
	cl_event list[2], e;
	size_t at, n;

	draw_range(t, &at, &n);
	memcpy(want, t->at + at, n);
	OK(clEnqueueReadBuffer(q, t->m, BLOCKING(), at, n, got, WAITS, &e));
	now_behind(q, e);
	compare(n);
}

void copy_range(void)
{
	struct thing *a = any_buffer(true), *b = any_buffer(true);
	cl_command_queue q = any_queue();
	cl_event list[2], e;
	size_t from, to, n;

	draw_range(a, &from, &n);
	to = draw(b->bytes);
	if (n > b->bytes - to)
		n = b->bytes - to;
	const uint8_t *x = a->at + from, *y = b->at + to;
	cl_int r = clEnqueueCopyBuffer(q, a->m, b->m, from, to, n, WAITS, &e);
	if (x < y + n && y < x + n) {
		CHECK_EQ(r, CL_MEM_COPY_OVERLAP);
		return;
	}
	OK(r);
	memcpy(b->at + to, a->at + from, n);
	now_behind(q, e);
}

void fill_range(void)
{
	struct thing *t = any_buffer(true);
	cl_command_queue q = any_queue();
	size_t pattern = (size_t)1 << draw(8), at, n;
	cl_event list[2], e;

	draw_range(t, &at, &n);
	at -= at % pattern;
	n -= n % pattern;
	OK(clEnqueueFillBuffer(q, t->m, source, pattern, at, n, WAITS, &e));
	for (size_t i = 0; i < n; i++)
		t->at[at + i] = source[i % pattern];
	now_behind(q, e);
}

void launch(void)
{
	struct thing *t = any_buffer(true);
	cl_command_queue q = any_queue();
	cl_uint v = (cl_uint)draw(256);
	size_t global = t->bytes < 100000 ? t->bytes : 100000;
	cl_event list[2], e;

	OK(clSetKernelArg(add, 0, sizeof t->m, &t->m));
	OK(clSetKernelArg(add, 1, sizeof v, &v));
	OK(clEnqueueNDRangeKernel(q, add, 1, NULL, &global, NULL, WAITS, &e));
	for (size_t i = 0; i < global; i++)
		t->at[i] = (uint8_t)(t->at[i] * 3 + v + i);
	now_behind(q, e);
}

void map_range(void)
{
	struct thing *t = any_buffer(true);
	cl_command_queue q = any_queue();
	cl_map_flags flags = draw_flags();
	cl_event list[2], e;
	size_t at, n;

	draw_range(t, &at, &n);
	uint8_t *mapped = clEnqueueMapBuffer(q, t->m, BLOCKING(), flags, at, n, WAITS, &e, &err);
	OK(err);
	now_behind(q, e);
	open_gate();
	OK(clWaitForEvents(1, &e));
	use_mapped(mapped, t->at + at, n, flags);
	unmap(t, mapped);
}

static void transfer_box(bool write)
{
	struct thing *t = any_buffer(true);
	cl_command_queue q = any_queue();
	struct box b = draw_box(t->bytes), host = packed(b.region);
	const size_t *o = host.origin;
	cl_event list[2], e;

	if (write) {
		OK(clEnqueueWriteBufferRect(q, t->m, BLOCKING(), b.origin, o, b.region, b.row,
			b.slice, 0, 0, source, WAITS, &e));
		copy_box(t->at, &b, source, &host);
		now_behind(q, e);
		return;
	}
	OK(clEnqueueReadBufferRect(
		q, t->m, BLOCKING(), b.origin, o, b.region, b.row, b.slice, 0, 0, got, WAITS, &e));
	copy_box(want, &host, t->at, &b);
	now_behind(q, e);
	compare(volume(&b));
}

void write_box(void)
{
	transfer_box(true);
}

void read_box(void)
{
	transfer_box(false);
}

// Between two different buffers, so that nothing overlaps.
void copy_boxes(void)
{
	size_t i = draw(BUFFERS), j = (i + 1 + draw(BUFFERS - 1)) % BUFFERS;
	struct thing *a = &things[i + (!is_pocl && draw(2) ? BUFFERS : 0)];
	struct thing *b = &things[j + (!is_pocl && draw(2) ? BUFFERS : 0)];
	cl_command_queue q = any_queue();
	struct box from = draw_box(a->bytes), to = packed(from.region);
	cl_event list[2], e;

	if (volume(&from) > b->bytes)
		return;
	to.origin[0] = draw(b->bytes - volume(&from) + 1);
	OK(clEnqueueCopyBufferRect(q, a->m, b->m, from.origin, to.origin, from.region, from.row,
		from.slice, to.row, to.slice, WAITS, &e));
	copy_box(b->at, &to, a->at, &from);
	now_behind(q, e);
}
