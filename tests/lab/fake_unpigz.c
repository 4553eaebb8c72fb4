/* A gzip decompressor that goes wrong on command: the lab's stand-in for a broken unpigz.
 *
 * It is called as dockerd calls unpigz (-d -c, stdin to stdout) and decompresses truly.
 * The file unpigz.fault in the folder above its own holds "KIND AFTER_BYTES RUNS": the
 * fault begins when AFTER_BYTES have been written, in the next RUNS runs (-1: in all).
 * KIND is none, stop, spin, pause or slow.
 */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define PIECE 65536
#define SLOW_PIECE 1024 /* one each 20 ms: 50 KB/s */

static char control_path[PATH_MAX + 32];

struct fault {
	char kind[16];
	long long after_bytes;
	int runs;
};

static void die(const char *why)
{
	fprintf(stderr, "fake unpigz: %s\n", why);
	exit(1);
}

static void find_control(void)
{
	char own[PATH_MAX] = {0};
	if (readlink("/proc/self/exe", own, sizeof own - 1) < 0)
		die("cannot read /proc/self/exe");
	snprintf(control_path, sizeof control_path, "%s/unpigz.fault", dirname(dirname(own)));
}

/* The fault as it stands in the control file; `take`: use up one of its runs. */
static struct fault read_fault(int take)
{
	struct fault fault = {.kind = "none"};
	char text[64] = {0};
	int fd = open(control_path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fault;
	flock(fd, take ? LOCK_EX : LOCK_SH);
	if (pread(fd, text, sizeof text - 1, 0) <= 0 ||
	    sscanf(text, "%15s %lld %d", fault.kind, &fault.after_bytes, &fault.runs) != 3)
		die("cannot read the control file");
	if (take && fault.runs > 0) {
		int length = snprintf(text, sizeof text, "%s %lld %d\n", fault.kind, fault.after_bytes, fault.runs - 1);
		if (ftruncate(fd, 0) || pwrite(fd, text, length, 0) != length)
			die("cannot write the control file");
	}
	close(fd); /* gives the lock back, too */
	return fault;
}

static void write_all(const unsigned char *bytes, size_t count)
{
	while (count > 0) {
		ssize_t written = write(1, bytes, count);
		if (written < 0)
			die("cannot write");
		bytes += written;
		count -= written;
	}
}

static void write_slowly(const unsigned char *bytes, size_t count)
{
	struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
	while (count > 0 && strcmp(read_fault(0).kind, "slow") == 0) {
		size_t piece = count < SLOW_PIECE ? count : SLOW_PIECE;
		write_all(bytes, piece);
		bytes += piece;
		count -= piece;
		nanosleep(&pause, NULL);
	}
	write_all(bytes, count);
}

static void begin(const char *kind)
{
	if (strcmp(kind, "stop") == 0)
		raise(SIGSTOP);
	if (strcmp(kind, "spin") == 0)
		for (volatile unsigned long turns = 0;; turns++)
			;
	if (strcmp(kind, "pause") == 0)
		for (;;)
			pause();
}

/* Write a piece, and let the fault begin at the piece in which it is due. */
static void emit(const unsigned char *bytes, size_t count, struct fault *fault)
{
	static long long total;
	int slow = strcmp(fault->kind, "slow") == 0;
	total += count;
	if (fault->runs == 0 || total < fault->after_bytes) {
		write_all(bytes, count);
	} else if (slow) {
		write_slowly(bytes, count);
	} else {
		write_all(bytes, count);
		fault->runs = 0; /* once in a run */
		begin(fault->kind);
	}
}

int main(void)
{
	static unsigned char input[PIECE], output[PIECE];
	z_stream stream = {0};
	int status = Z_OK;
	ssize_t got;

	find_control();
	struct fault fault = read_fault(1);
	if (inflateInit2(&stream, 31) != Z_OK)
		die("no memory");
	while ((got = read(0, input, sizeof input)) > 0) {
		stream.next_in = input;
		stream.avail_in = got;
		while (stream.avail_in > 0 || stream.avail_out == 0) {
			if (status == Z_STREAM_END) {
				inflateReset(&stream); /* the next member */
			}
			stream.next_out = output;
			stream.avail_out = sizeof output;
			status = inflate(&stream, Z_NO_FLUSH);
			if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
				die("not in gzip format");
			emit(output, sizeof output - stream.avail_out, &fault);
			if (status == Z_STREAM_END && stream.avail_in == 0)
				break;
		}
	}
	if (got < 0 || status != Z_STREAM_END)
		die("unexpected end of input");
	return 0;
}
