/* boards/native - the host as a board: its line is a pseudo-terminal, or stdin and stdout.
 *
 *     program           opens a pty and prints `serial: /dev/pts/N` on stdout
 *     program --stdio   talks on stdin and stdout; ends when stdin does
 *     --store FILE      keeps the store (board.h) in this file, as NANO_STORE=FILE does: store.c
 *     --sensor FILE     plays this file, or what comes through this pipe, as its sensor: sensor.c
 *     --pins FILE       writes what its pins do to this file: sensor.c
 *
 * SIGTERM, SIGINT and SIGHUP end it with exit status 0. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* cfmakeraw */
#endif

#include "board.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* Tells the program that board_reset() starts over which descriptors hold the line. */
#define INHERITED "NANO_NATIVE_LINE"

static struct {
    char **argv;
    int in, out;
    uint64_t start; /* ns */
    uint8_t received[512], sent[512];
    size_t received_next, received_end, sent_size;
} board = {.in = -1, .out = -1};

static void die(const char *what) {
    fprintf(stderr, "nano: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void stop(int signal_number) {
    (void)signal_number;
    _exit(0);
}

static uint64_t now(void) {
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
        die("clock_gettime");
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The slave side stays open here, so that the line outlives each client. */
static void open_pty(void) {
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
        die("cannot open a pseudo-terminal");
    const char *const name = ptsname(master);
    const int slave = name != NULL ? open(name, O_RDWR | O_NOCTTY) : -1;
    struct termios mode;
    if (slave < 0 || tcgetattr(slave, &mode) != 0)
        die("cannot open the pseudo-terminal's other side");
    cfmakeraw(&mode);
    if (tcsetattr(slave, TCSANOW, &mode) != 0)
        die("cannot make the pseudo-terminal raw");
    board.in = board.out = master;
    printf("serial: %s\n", name);
    fflush(stdout);
}

static void usage(const char *program) {
    fprintf(stderr, "usage: %s [--stdio] [--store FILE] [--sensor FILE] [--pins FILE]\n", program);
    exit(2);
}

static void take_line(bool stdio) {
    const char *const inherited = getenv(INHERITED);
    if (stdio) {
        board.in = STDIN_FILENO;
        board.out = STDOUT_FILENO;
    } else if (inherited != NULL) {
        board.in = board.out = (int)strtol(inherited, NULL, 10);
        unsetenv(INHERITED);
    } else {
        open_pty();
    }
}

void board_init(int argc, char *argv[]) {
    bool stdio = false;
    board.argv = argv;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--stdio") == 0)
            stdio = true;
        else if (strcmp(argv[i], "--store") == 0 && i + 1 < argc)
            setenv("NANO_STORE", argv[++i], 1);
        else if (strcmp(argv[i], "--sensor") == 0 && i + 1 < argc)
            setenv("NANO_SENSOR", argv[++i], 1);
        else if (strcmp(argv[i], "--pins") == 0 && i + 1 < argc)
            setenv("NANO_PINS", argv[++i], 1);
        else
            usage(argv[0]);
    }
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    signal(SIGHUP, stop);
    signal(SIGPIPE, SIG_DFL);
    take_line(stdio);
    board.start = now();
}

const char *board_name(void) {
    return "native";
}

uint32_t board_core_hz(void) {
    return 0;
}

int board_getc(void) {
    if (board.received_next == board.received_end) {
        board_flush();
        ssize_t count;
        do {
            count = read(board.in, board.received, sizeof board.received);
        } while (count < 0 && errno == EINTR);
        if (count <= 0)
            return -1;
        board.received_next = 0;
        board.received_end = (size_t)count;
    }
    return board.received[board.received_next++];
}

bool board_waiting(void) {
    struct pollfd line = {.fd = board.in, .events = POLLIN};
    return board.received_next < board.received_end || poll(&line, 1, 0) != 0;
}

void board_putc(uint8_t byte) {
    if (board.sent_size == sizeof board.sent)
        board_flush();
    board.sent[board.sent_size++] = byte;
}

void board_flush(void) {
    size_t done = 0;
    while (done < board.sent_size) {
        const ssize_t count = write(board.out, &board.sent[done], board.sent_size - done);
        if (count < 0 && errno != EINTR)
            die("cannot write to the line");
        done += count > 0 ? (size_t)count : 0;
    }
    board.sent_size = 0;
}

/* A pseudo-terminal has no rate: any will do that ports have. */
bool board_baud(uint32_t baud, bool set) {
    (void)set;
    return baud == 0 || (baud >= 1200 && baud <= 4000000);
}

uint32_t board_ticks(void) {
    return (uint32_t)now();
}

const char *board_tick_source(void) {
    return "ns";
}

uint32_t board_tick_hz(void) {
    return 1000000000u;
}

uint32_t board_micros(void) {
    return (uint32_t)((now() - board.start) / 1000u);
}

/* A host's numbers say nothing about a microcontroller: none is given. */
void board_memory(board_memory_info *info) {
    memset(info, 0, sizeof *info);
}

void board_image(const uint8_t **start, uint32_t *size) {
    *start = NULL;
    *size = 0;
}

/* The same program anew, on the same line. */
void board_reset(void) {
    char descriptor[16];
    if (board.in != STDIN_FILENO) {
        snprintf(descriptor, sizeof descriptor, "%d", board.in);
        setenv(INHERITED, descriptor, 1);
    }
    execv("/proc/self/exe", board.argv);
    execvp(board.argv[0], board.argv); /* where there is no /proc */
    die("cannot start over");
}
