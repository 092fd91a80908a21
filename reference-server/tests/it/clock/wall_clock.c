/*
 * Replaces the wall clock of a process: preload it, and name a file in WALL_CLOCK with a number of
 * seconds, which is added to the time, and a second one: if it is not 0, the clock stands still at
 * this time. Both have 8 bytes in the order of the machine. The monotonic clock is unchanged.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int file = -1;

__attribute__((constructor)) static void open_file(void) {
    const char *path = getenv("WALL_CLOCK");
    if (path != NULL)
        file = open(path, O_RDONLY | O_CLOEXEC);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    int64_t change[2];
    if (result != 0 || clock != CLOCK_REALTIME)
        return result;
    if (pread(file, change, sizeof change, 0) != sizeof change)
        return result;
    if (change[1] != 0)
        now->tv_sec = change[1];
    else
        now->tv_sec += change[0];
    return result;
}
