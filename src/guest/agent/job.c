// SPDX-License-Identifier: Apache-2.0
#include "guest/agent/job.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

void jobs_init(struct jobs *j, struct loop *l)
{
	*j = (struct jobs){ .loop = l };
}

struct job *jobs_find(struct jobs *j, const char *id)
{
	for (size_t i = 0; i < JOBS_MAX; i++)
		if (j->all[i].id[0] && !strcmp(j->all[i].id, id))
			return &j->all[i];
	return NULL;
}

// A free place, or that of the job that ended first.
static struct job *find_place(struct jobs *j)
{
	struct job *oldest = NULL;

	for (size_t i = 0; i < JOBS_MAX; i++) {
		struct job *job = &j->all[i];
		if (!job->id[0])
			return job;
		if (job->exited && (!oldest || job->ended_seq < oldest->ended_seq))
			oldest = job;
	}
	if (oldest)
		job_end(oldest);
	return oldest;
}

// Ours without what `extra` replaces, then `extra`. Borrows all strings.
static char **merge_env(const char *const *extra)
{
	size_t n = 0, m = 0, used = 0;

	while (environ[n])
		n++;
	while (extra && extra[m])
		m++;
	char **all = calloc(n + m + 1, sizeof *all);
	if (!all)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		bool replaced = false;
		for (size_t k = 0; k < m && !replaced; k++)
			replaced = !strncmp(environ[i], extra[k], strcspn(extra[k], "=") + 1);
		if (!replaced)
			all[used++] = environ[i];
	}
	for (size_t k = 0; k < m; k++)
		all[used++] = (char *)extra[k];
	return all;
}

// The ends of a job's pipes: ours and the program's. -1 where there is none.
struct pipes {
	int in[2], out[2], err[2]; // [0] reads, [1] writes
};

static void close_pair(int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void close_pipes(struct pipes *p)
{
	close_pair(p->in);
	close_pair(p->out);
	close_pair(p->err);
}

static int open_pipes(struct pipes *p, const struct job_spec *spec)
{
	*p = (struct pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
	if (spec->input && pipe2(p->in, O_CLOEXEC) < 0)
		return -errno;
	if (spec->detach)
		return 0;
	if (pipe2(p->out, O_CLOEXEC) < 0 || pipe2(p->err, O_CLOEXEC) < 0)
		return -errno;
	fcntl(p->out[0], F_SETFL, O_NONBLOCK);
	fcntl(p->err[0], F_SETFL, O_NONBLOCK);
	if (spec->input)
		fcntl(p->in[1], F_SETFL, O_NONBLOCK);
	return 0;
}

// posix_spawnp(3): 0 or a positive errno, also where the program cannot be executed.
static int spawn(const struct job_spec *spec, const struct pipes *p, char **env, pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t all, none;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	if (p->in[0] >= 0)
		posix_spawn_file_actions_adddup2(&files, p->in[0], 0);
	else
		posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	if (p->out[1] >= 0) { // detached programs keep our own output, the console
		posix_spawn_file_actions_adddup2(&files, p->out[1], 1);
		posix_spawn_file_actions_adddup2(&files, p->err[1], 2);
	}
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(
		&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	int why =
		posix_spawnp(ret_pid, spec->argv[0], &files, &attr, (char *const *)spec->argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return why;
}

static void on_exit_status(void *arg, pid_t pid, int status)
{
	struct job *job = arg;

	job->exited = true;
	job->ended_seq = ++job->jobs->ends;
	job->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	job->watch = watch_remove(job->watch);
	stream_end(&job->in);
	stream_end(&job->out);
	stream_end(&job->err);
}

// The job takes our ends of the pipes.
static int adopt(struct job *job, struct jobs *j, const char *id, pid_t pid, struct pipes *p)
{
	*job = (struct job){ .pid = pid, .jobs = j, .last_signal_request = -1 };
	memcpy(job->id, id, sizeof job->id);
	int r = stream_open(&job->in, j->loop, take_fd(p->in[1]), true);
	int r_out = stream_open(&job->out, j->loop, take_fd(p->out[0]), false);
	int r_err = stream_open(&job->err, j->loop, take_fd(p->err[0]), false);
	job->watch = loop_process(j->loop, pid, on_exit_status, job);
	return r || r_out || r_err || !job->watch ? -ENOMEM : 0;
}

int jobs_start(struct jobs *j, const struct job_spec *spec, struct ferry_error *e)
{
	struct pipes p;
	pid_t pid = -1;

	if (jobs_find(j, spec->id))
		return 0;
	struct job *job = find_place(j);
	if (!job)
		return ferry_fail(e, EBUSY, "too-many", "%d programs run already", JOBS_MAX);
	_cleanup_free_ char **env = merge_env(spec->env);
	int why = env ? -open_pipes(&p, spec) : ENOMEM;
	if (!why)
		why = spawn(spec, &p, env, &pid);
	if (!why && adopt(job, j, spec->id, pid, &p) < 0) {
		job_end(job);
		why = ENOMEM;
	}
	if (env)
		close_pipes(&p);
	return why ? ferry_fail(
			     e, why, "exec", "cannot run %.200s: %s", spec->argv[0], strerror(why))
		   : 0;
}

bool job_running(const struct job *job)
{
	return !job->exited || !stream_ended(&job->out) || !stream_ended(&job->err);
}

int job_signal(struct job *job, int signo)
{
	if (job->exited)
		return 0;
	return kill(-job->pid, signo) < 0 ? -errno : 0;
}

void job_end(struct job *job)
{
	if (!job->exited) {
		kill(-job->pid, SIGKILL);
		while (waitpid(job->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	watch_remove(job->watch);
	stream_free(&job->in);
	stream_free(&job->out);
	stream_free(&job->err);
	*job = (struct job){ 0 };
}

void jobs_free(struct jobs *j)
{
	for (size_t i = 0; i < JOBS_MAX; i++)
		if (j->all[i].id[0])
			job_end(&j->all[i]);
}
