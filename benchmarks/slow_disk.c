/* Stands in for a network disk: each call that asks a server for a path waits first.

   cc -shared -fPIC -O2 -o slow_disk.so slow_disk.c -ldl
   LD_PRELOAD=./slow_disk.so SLOW_DISK=/folder SLOW_DISK_US=5000 program

   A path waits if it lies below SLOW_DISK, or is relative to an open folder. Threads wait side by
   side, as they do for a server. Reading and writing do not wait: tiny files are in the cache. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static void wait_for(int folder, const char *path) {
    static const char *below;
    static long us;
    if (!below) {
        const char *text = getenv("SLOW_DISK_US");
        us = text ? atol(text) : 0;
        below = getenv("SLOW_DISK");
        if (!below) below = "";
    }
    if (!path || !*below || us <= 0) return;
    if (path[0] == '/' ? strncmp(path, below, strlen(below)) != 0 : folder == AT_FDCWD) return;
    struct timespec time = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&time, NULL);
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        wait_for(AT_FDCWD, path); \
        return real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(name); \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        wait_for(folder, path); \
        return real(folder, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

#define ONE(type, name, declared, folder, path, passed) \
    type name declared { REAL(name); wait_for(folder, path); return real passed; }
ONE(int, stat, (const char *p, struct stat *s), AT_FDCWD, p, (p, s))
ONE(int, stat64, (const char *p, struct stat64 *s), AT_FDCWD, p, (p, s))
ONE(int, lstat, (const char *p, struct stat *s), AT_FDCWD, p, (p, s))
ONE(int, lstat64, (const char *p, struct stat64 *s), AT_FDCWD, p, (p, s))
ONE(int, fstatat, (int d, const char *p, struct stat *s, int f), *p ? d : AT_FDCWD, p, (d, p, s, f))
ONE(int, fstatat64, (int d, const char *p, struct stat64 *s, int f), *p ? d : AT_FDCWD, p, (d, p, s, f))
ONE(ssize_t, readlink, (const char *p, char *b, size_t n), AT_FDCWD, p, (p, b, n))
ONE(ssize_t, readlinkat, (int d, const char *p, char *b, size_t n), d, p, (d, p, b, n))
ONE(int, symlink, (const char *t, const char *p), AT_FDCWD, p, (t, p))
ONE(int, symlinkat, (const char *t, int d, const char *p), d, p, (t, d, p))
ONE(int, link, (const char *o, const char *p), AT_FDCWD, p, (o, p))
ONE(int, linkat, (int a, const char *o, int d, const char *p, int f), d, p, (a, o, d, p, f))
ONE(int, rename, (const char *o, const char *p), AT_FDCWD, p, (o, p))
ONE(int, renameat, (int a, const char *o, int d, const char *p), d, p, (a, o, d, p))
ONE(int, unlink, (const char *p), AT_FDCWD, p, (p))
ONE(int, unlinkat, (int d, const char *p, int f), d, p, (d, p, f))
ONE(int, mkdir, (const char *p, mode_t m), AT_FDCWD, p, (p, m))
ONE(int, mkdirat, (int d, const char *p, mode_t m), d, p, (d, p, m))
ONE(int, access, (const char *p, int m), AT_FDCWD, p, (p, m))
ONE(int, faccessat, (int d, const char *p, int m, int f), d, p, (d, p, m, f))

/* Calls that have no function of their own, such as openat2, come by this one. */
long syscall(long number, ...) {
    REAL(syscall);
    va_list rest;
    va_start(rest, number);
    long a[6];
    for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
    va_end(rest);
#ifdef SYS_openat2
    if (number == SYS_openat2) wait_for((int)a[0], (const char *)a[1]);
#endif
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
