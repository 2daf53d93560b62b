/* Lets user-mode Linux run on processors whose register state is larger than it knows.
 *
 * Linux before 6.13 keeps 2696 bytes of extended registers of its processes, which is all up to
 * AVX-512. With AMX (Sapphire Rapids and later) there are 11008, and the host refuses a
 * PTRACE_SETREGSET that does not give them all (EFAULT), so init dies at once. Loaded with
 * LD_PRELOAD, this completes the call with what the process has: tiles that no guest uses. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/uio.h>

#define GET_REGISTERS 0x4204 /* PTRACE_GETREGSET */
#define SET_REGISTERS 0x4205 /* PTRACE_SETREGSET */
#define EXTENDED_STATE 0x202 /* NT_X86_XSTATE */

typedef long (*ptrace_call)(int request, ...);

long ptrace(int request, ...)
{
    static ptrace_call next;
    static char state[1 << 16] __attribute__((aligned(64)));
    va_list arguments;

    va_start(arguments, request);
    int pid = va_arg(arguments, int);
    void *address = va_arg(arguments, void *);
    void *data = va_arg(arguments, void *);
    va_end(arguments);

    if (!next)
        next = (ptrace_call)dlsym(RTLD_NEXT, "ptrace");
    if (request == SET_REGISTERS && (long)address == EXTENDED_STATE) {
        struct iovec *given = data;
        struct iovec whole = { state, sizeof state };
        if (next(GET_REGISTERS, pid, address, &whole) == 0 && whole.iov_len > given->iov_len) {
            memcpy(state, given->iov_base, given->iov_len);
            return next(request, pid, address, &whole);
        }
    }
    return next(request, pid, address, data);
}
