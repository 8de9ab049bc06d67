// SPDX-License-Identifier: Apache-2.0
#include "host/migration/record.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "host/migration/aborted.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define FOLDER "records"

bool record_id_valid(const char *id)
{
	return strlen(id) == ENGINE_ID_SIZE - 1 &&
	       strspn(id, "0123456789abcdef") == ENGINE_ID_SIZE - 1;
}

int record_new_id(char ret[ENGINE_ID_SIZE], struct ferry_error *e)
{
	uint8_t bytes[(ENGINE_ID_SIZE - 1) / 2];

	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return ferry_fail(e, EIO, "random", "no random numbers: %m");
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

json_t *record_to_json(const struct record *r)
{
	return json_pack("{si ss sI ss ss ss sb sI sI sO* sI}", "schema", 1, "migration",
		r->migration, "epoch", (json_int_t)r->epoch, "role",
		r->source ? "source" : "destination", "state", record_name(r->state), "peer",
		r->peer, "finished", r->finished, "resume_at_ns", (json_int_t)r->resume_at_ns,
		"gate_open_at_ns", (json_int_t)r->gate_open_ns, "vm", r->config, "wall_ns",
		(json_int_t)clock_wall_ns());
}

int record_parse(const json_t *doc, struct record *ret, struct ferry_error *e)
{
	struct record r = { .config = NULL };
	char role[16], state[16];
	uint64_t schema = 0;

	if (json_get_u64(doc, "schema", 1, &schema, e) < 0 ||
		json_get_string(doc, "migration", r.migration, sizeof r.migration, e) < 0 ||
		json_get_u64(doc, "epoch", INT64_MAX - 8, &r.epoch, e) < 0 ||
		json_get_string(doc, "role", role, sizeof role, e) < 0 ||
		json_get_string(doc, "state", state, sizeof state, e) < 0 ||
		json_get_string(doc, "peer", r.peer, sizeof r.peer, e) < 0) {
		ferry_error_prefix(e, "migration record");
		return -EPROTO;
	}
	r.source = !strcmp(role, "source");
	r.state = record_from_name(state);
	r.finished = json_bool_or(doc, "finished", false);
	r.resume_at_ns = json_int_or(doc, "resume_at_ns", 0);
	r.gate_open_ns = json_int_or(doc, "gate_open_at_ns", 0);
	r.config = json_object_get(doc, "vm");
	bool of_source = r.state >= RECORD_ACTIVE && r.state <= RECORD_ABORTED;
	if (schema != 1 || !record_id_valid(r.migration) || r.state == RECORD_NONE ||
		of_source != r.source || (!r.source && strcmp(role, "destination")))
		return ferry_fail(e, EPROTO, "bad-record",
			"migration record: role '%s' and state '%s' do not fit", role, state);
	memcpy(r.vm, ret->vm, sizeof r.vm);
	json_incref(r.config);
	*ret = r;
	return 0;
}

static int path_of(const char *vm, char *ret, size_t size, struct ferry_error *e)
{
	if (vm_name_check(vm, NULL) < 0)
		return ferry_fail(e, EINVAL, "bad-name", "'%.40s' is no VM's name", vm);
	snprintf(ret, size, FOLDER "/%s.json", vm);
	return 0;
}

// What the VM's record says now is about to go. Its destination may be sealed and away.
static int keep_aborted(const char *vm, struct ferry_error *e)
{
	struct record old = { .config = NULL };
	int r = 0;

	if (record_read(vm, &old, NULL) < 0)
		return 0;
	if (old.state == RECORD_ABORTED)
		r = aborted_keep(old.migration, e);
	record_free(&old);
	return r;
}

static bool begins(const struct record *r)
{
	return r->state == RECORD_ACTIVE || r->state == RECORD_INCOMING;
}

int record_write(const struct record *r, struct ferry_error *e)
{
	char path[sizeof FOLDER + VM_NAME_MAX + 8];
	_cleanup_json_ json_t *doc = record_to_json(r);
	_cleanup_free_ char *text = doc ? json_dumps(doc, JSON_INDENT(1)) : NULL;

	if (!text)
		return ferry_fail(e, ENOMEM, "no-memory", "out of memory");
	if (path_of(r->vm, path, sizeof path, e) < 0 || dir_make(FOLDER, e) < 0)
		return -EIO;
	if (begins(r) && keep_aborted(r->vm, e) < 0)
		return -EIO;
	return file_write_durable(path, text, strlen(text), e);
}

int record_read(const char *vm, struct record *ret, struct ferry_error *e)
{
	char path[sizeof FOLDER + VM_NAME_MAX + 8];
	struct ferry_error why = FERRY_ERROR_INIT;

	if (path_of(vm, path, sizeof path, e) < 0)
		return -EINVAL;
	_cleanup_json_ json_t *doc = json_parse_file(path, &why);
	if (!doc) {
		if (e)
			*e = why;
		return why.err;
	}
	snprintf(ret->vm, sizeof ret->vm, "%s", vm);
	return record_parse(doc, ret, e);
}

int record_remove(const char *vm, struct ferry_error *e)
{
	char path[sizeof FOLDER + VM_NAME_MAX + 8];

	if (path_of(vm, path, sizeof path, e) < 0)
		return -EINVAL;
	if (keep_aborted(vm, e) < 0)
		return -EIO;
	return path_remove(path, e);
}

void record_free(struct record *r)
{
	json_decref(r->config);
	r->config = NULL;
}

static bool vm_of_file(const char *file, char *ret, size_t size)
{
	size_t n = strlen(file);

	if (n <= 5 || n - 5 >= size || strcmp(file + n - 5, ".json"))
		return false;
	memcpy(ret, file, n - 5);
	ret[n - 5] = '\0';
	return vm_name_check(ret, NULL) == 0;
}

void record_each(void (*fn)(void *arg, const struct record *r), void *arg)
{
	struct dirent **files = NULL;
	int n = scandir(FOLDER, &files, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		struct ferry_error e = FERRY_ERROR_INIT;
		struct record r = { .config = NULL };
		char vm[VM_NAME_MAX + 1];
		if (vm_of_file(files[i]->d_name, vm, sizeof vm)) {
			if (record_read(vm, &r, &e) < 0)
				log_error("record of VM %s: %s; it is left alone", vm, e.message);
			else
				fn(arg, &r);
			record_free(&r);
		}
		free(files[i]);
	}
	free(files);
}

struct finding {
	const char *id;
	struct record *ret;
	bool found;
};

static void match(void *arg, const struct record *r)
{
	struct finding *f = arg;

	if (f->found || strcmp(r->migration, f->id))
		return;
	*f->ret = *r;
	json_incref(f->ret->config);
	f->found = true;
}

int record_find(const char *migration, struct record *ret)
{
	struct finding f = { .id = migration, .ret = ret };

	record_each(match, &f);
	return f.found ? 0 : -ENOENT;
}
