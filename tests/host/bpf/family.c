/*
 * A process that has children: the workload of the event engines' tests.
 *
 * family COUNT PAUSE_US LINGER_MS: says "ready", waits for a line on its standard input, then
 * has COUNT children that execute this same program and live LINGER_MS, one
 * every PAUSE_US.  Prints "PID STATUS" of each when it has ended.  With LINGER_MS 0 each
 * child has ended before the next is born.
 *
 * family LINGER_MS: such a child.  Its exit status is 7.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void reap(void)
{
	int status;
	pid_t child = wait(&status);
	printf("%d %d\n", child, status);
}

int main(int argc, char **argv)
{
	if (argc == 2) {
		usleep(atoi(argv[1]) * 1000);
		return 7;
	}
	if (argc != 4)
		return 2;
	int count = atoi(argv[1]), pause_us = atoi(argv[2]), linger_ms = atoi(argv[3]);
	puts("ready");
	fflush(stdout);
	getchar();
	for (int i = 0; i < count; i++) {
		pid_t child;
		if (posix_spawn(&child, argv[0], NULL, NULL, (char *[]){argv[0], argv[3], NULL}, environ))
			return 1;
		if (!linger_ms)
			reap();
		if (pause_us)
			usleep(pause_us);
	}
	for (int i = 0; linger_ms && i < count; i++)
		reap();
	return 0;
}
