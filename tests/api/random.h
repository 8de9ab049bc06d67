// SPDX-License-Identifier: Apache-2.0
// What the random commands have in common: things with a model of their bytes, chance, and order: each command
// waits for the one before, and for the gate where there is one.
#pragma once

#include "api.h"

#include <stdbool.h>

#define BUFFERS 5
#define PARTS   5
#define IMAGES  9
#define THINGS  (BUFFERS + PARTS + IMAGES)
#define MOST    (3u << 20) // bytes

// A buffer, a part of one, or an image; `bytes` of it are as the model says at `at`.
struct thing {
	cl_mem m;
	uint8_t *at;
	size_t bytes;
	bool is_part;
	// Of an image: its size in pixels, a pixel's bytes and channels, and the program's memory that it uses, or NULL.
	cl_mem_object_type type;
	cl_channel_type channel;
	size_t size[3], pixel, channels;
	uint8_t *memory;
};

struct box {
	size_t origin[3], region[3], row, slice; // bytes
};

extern struct cl c;
extern cl_int err;
extern cl_command_queue queues[3];
extern cl_kernel add, blend;        // bytes; the second of two images
extern struct thing things[THINGS]; // buffers, their parts, images
extern uint8_t *source, *got, *want;
extern cl_event before, gate; // what the next command waits for; NULL: nothing
// Itself: PoCL 3.1 crashes where a part is copied by boxes (parts.c), and in buffers as images.
extern bool is_pocl;

// One of 0 to n - 1.
void draw_from(uint64_t seed);
size_t draw(size_t n);
cl_command_queue any_queue(void);
struct thing *any_buffer(bool parts);
cl_map_flags draw_flags(void);
void draw_inside(const size_t size[3], size_t origin[3], size_t region[3]);
struct box draw_box(size_t bytes); // that fits into so many

// For an enqueuing function that has a `cl_event list[2]`.
#define WAITS      waits(list), waits(list) ? list : NULL
#define BLOCKING() (!gate && draw(2))
cl_uint waits(cl_event list[2]);
void open_gate(void);
void now_behind(cl_command_queue q, cl_event e);
// What a read has brought.
void compare(size_t n);

uint8_t *row_at(uint8_t *base, const struct box *b, size_t y, size_t z);
void copy_box(uint8_t *to, const struct box *a, uint8_t *from, const struct box *b);
struct box packed(const size_t region[3]);
size_t volume(const struct box *b);

// The images: made, and checked and released again.
void make_images(void);
void free_images(void);

// What a program does with what it has mapped: looks at it, changes some of it, or all.
void use_mapped(uint8_t *row, uint8_t *model, size_t n, cl_map_flags flags);
void unmap(struct thing *t, void *at);

// The commands.
void write_range(void);
void read_range(void);
void copy_range(void);
void fill_range(void);
void launch(void);
void map_range(void);
void write_box(void);
void read_box(void);
void copy_boxes(void);
void write_pixels(void);
void read_pixels(void);
void map_pixels(void);
void copy_pixels(void);
void copy_images(void);
void fill_pixels(void);
void launch_pixels(void);
