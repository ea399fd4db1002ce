/* The lock keeps a second run out, ends with its holder, and waits for survivors. Each holder is a
 * process of its own: a process never conflicts with its own fcntl locks. */
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/lock.h"
#include "tests/support/check.h"

static char folder[] = "test_lock.XXXXXX";

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A process that takes (or joins) and then holds until it is killed; returns when it holds. */
static pid_t hold(bool join)
{
    int  ready[2];
    char byte = 0;

    if (pipe(ready) != 0) exit(1);
    const pid_t pid = fork();
    if (pid == 0) {
        sd_lock        *lock = NULL;
        const sd_status st   = join ? sd_lock_join(folder, &lock) : sd_lock_take(folder, 0, &lock);
        byte                 = st == SD_OK ? 'y' : 'n';
        if (write(ready[1], &byte, 1) != 1) _exit(1);
        for (;;) pause();
    }
    CHECK(read(ready[0], &byte, 1) == 1 && byte == 'y');
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void a_second_run_waits_and_then_names_the_first(void)
{
    const pid_t holder = hold(false);
    sd_lock    *lock   = NULL;
    char        number[32];

    const double start = now_s();
    CHECK(sd_lock_take(folder, 0.3, &lock) == SD_ERR_RESOURCE);
    CHECK(now_s() - start >= 0.3); /* it did wait */
    CHECK(now_s() - start < 5);    /* and gave up; seconds of slack for a busy machine */
    CHECK(lock == NULL);
    snprintf(number, sizeof number, "process %ld", (long)holder);
    CHECK(strstr(sd_message(), folder) != NULL && strstr(sd_message(), number) != NULL);
    sd_clear();
    end(holder);
}

static void a_killed_run_holds_nothing(void)
{
    sd_lock *lock = NULL;

    end(hold(false));
    CHECK(sd_lock_take(folder, 0, &lock) == SD_OK);
    sd_lock_release(&lock);
    CHECK(lock == NULL);
    sd_lock_release(&lock);
}

static void a_survivor_keeps_the_next_run_out_until_it_dies(void)
{
    const pid_t first = hold(false), member = hold(true);
    sd_lock    *lock = NULL;

    end(first);
    CHECK(sd_lock_take(folder, 0.15, &lock) == SD_ERR_RESOURCE);
    sd_clear();
    const pid_t killer = fork();
    if (killer == 0) {
        nanosleep(&(struct timespec){0, 300000000}, NULL);
        kill(member, SIGKILL);
        _exit(0);
    }
    CHECK(sd_lock_take(folder, 10, &lock) ==
          SD_OK); /* within the wait, once the survivor is gone */
    sd_lock_release(&lock);
    waitpid(killer, NULL, 0);
    waitpid(member, NULL, 0);
}

static void a_waiting_run_gets_the_lock_when_it_is_released(void)
{
    const pid_t holder = hold(false), killer = fork();
    sd_lock    *lock = NULL;

    if (killer == 0) {
        nanosleep(&(struct timespec){0, 200000000}, NULL);
        kill(holder, SIGKILL);
        _exit(0);
    }
    CHECK(sd_lock_take(folder, 10, &lock) == SD_OK);
    sd_lock_release(&lock);
    waitpid(killer, NULL, 0);
    waitpid(holder, NULL, 0);
}

static void members_of_one_run_do_not_exclude_each_other(void)
{
    const pid_t first = hold(false), second = hold(true), third = hold(true);

    end(third);
    end(second);
    end(first);
}

static void what_cannot_be_locked_is_named(void)
{
    sd_lock *lock = NULL;

    CHECK(sd_lock_take("no/such/folder", 0, &lock) == SD_ERR_RESOURCE);
    CHECK(strcmp(sd_message(), "cannot lock 'no/such/folder': No such file or directory") == 0);
    sd_clear();
    const pid_t stranger = fork(); /* root may write anywhere: be somebody else */
    if (stranger == 0) {
        if (geteuid() == 0 && setuid(65534) != 0) _exit(0);
        _exit(sd_lock_take("sealed", 0, &lock) == SD_ERR_RESOURCE &&
                      strstr(sd_message(), "Permission denied") != NULL
                  ? 0
                  : 1);
    }
    int status = 1;
    waitpid(stranger, &status, 0);
    CHECK(status == 0);
}

int main(void)
{
    if (mkdtemp(folder) == NULL || (mkdir("sealed", 0555) != 0 && chmod("sealed", 0555) != 0))
        return 1;
    a_second_run_waits_and_then_names_the_first();
    a_killed_run_holds_nothing();
    a_survivor_keeps_the_next_run_out_until_it_dies();
    a_waiting_run_gets_the_lock_when_it_is_released();
    members_of_one_run_do_not_exclude_each_other();
    what_cannot_be_locked_is_named();
    rmdir("sealed");
    char file[64];
    snprintf(file, sizeof file, "%s/.lock", folder);
    CHECK(unlink(file) == 0);
    CHECK(rmdir(folder) == 0); /* nothing but the lock file was made */
    return REPORT();
}
