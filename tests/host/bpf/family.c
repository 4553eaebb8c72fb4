/*
 * A process that has children: the workload of the event engines' tests.
 *
 * family COUNT PAUSE_US HOLD: says "ready", waits for a line on its standard
 * input, then has COUNT children that execute this same program, one every
 * PAUSE_US.  With HOLD 0 each child has ended before the next is born; with 1
 * they all live until there is a second line, or the end of the input.  Prints
 * "PID STATUS" of each when it has ended.
 *
 * family [DESCRIPTOR]: such a child; it lives until the descriptor's pipe has no
 * writer.  Its exit status is 7.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int live(int argc, char **argv)
{
	char nothing;
	if (argc == 2)
		(void)!read(atoi(argv[1]), &nothing, 1);
	return 7;
}

static void reap(void)
{
	int status;
	pid_t child = wait(&status);
	printf("%d %d\n", child, status);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return live(argc, argv);
	int count = atoi(argv[1]), pause_us = atoi(argv[2]), hold = atoi(argv[3]);
	puts("ready");
	fflush(stdout);
	getchar();

	int leash[2]; /* held by this process only, so its children do not outlive it */
	char end[16];
	if (pipe2(leash, O_CLOEXEC))
		return 1;
	fcntl(leash[0], F_SETFD, 0);
	snprintf(end, sizeof(end), "%d", leash[0]);
	for (int i = 0; i < count; i++) {
		pid_t child;
		if (posix_spawn(&child, argv[0], NULL, NULL, (char *[]){argv[0], hold ? end : NULL, NULL}, environ))
			return 1;
		if (!hold)
			reap();
		if (pause_us)
			usleep(pause_us);
	}
	if (hold)
		getchar();
	close(leash[1]);
	for (int i = 0; hold && i < count; i++)
		reap();
	return 0;
}
