/*
 * The two ends of a conversation between a guest and its host, over TCP or vsock.
 *
 *   talk serve PORT                  on the host: answers on TCP and, where the kernel has it, on vsock, until it is ended
 *   talk send ADDRESS PORT SECONDS   in the guest: sends so long; tells how many bytes arrived
 *   talk take ADDRESS PORT SECONDS   in the guest: the other way
 *   talk trips ADDRESS PORT COUNT    in the guest: so many round trips of 64 bytes
 *
 * ADDRESS is of IPv4, or `host` for the host's end of vsock. What a connection is for is its first byte.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <linux/vm_sockets.h>
#include <time.h>
#include <unistd.h>

enum { SENDS = 's', TAKES = 't', TRIPS = 'r', TRIP = 64 };
static char block[1 << 18];

static double now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec + at.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int listening(int family, int port)
{
	struct sockaddr_in ip = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_vm vm = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};
	struct sockaddr *address = family == AF_INET ? (void *)&ip : (void *)&vm;
	int on = 1, fd = socket(family, SOCK_STREAM, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, address, family == AF_INET ? sizeof ip : sizeof vm) || listen(fd, 16))
		die("listen");
	return fd;
}

static int connected(const char *to, int port)
{
	struct sockaddr_in ip = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_vm vm = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port};
	int over_vsock = !strcmp(to, "host"), on = 1;
	int fd = socket(over_vsock ? AF_VSOCK : AF_INET, SOCK_STREAM, 0);
	if (!over_vsock && inet_pton(AF_INET, to, &ip.sin_addr) != 1)
		exit(2);
	if (fd < 0 || connect(fd, over_vsock ? (void *)&vm : (void *)&ip, over_vsock ? sizeof vm : sizeof ip))
		die("connect");
	if (!over_vsock)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static int all_of(int fd, char *where, size_t size)
{
	for (size_t had = 0; had < size;) {
		ssize_t got = read(fd, where + had, size - had);
		if (got <= 0)
			return 0;
		had += got;
	}
	return 1;
}

/* The other end sends until it has no more, and then wants to know how much that was. */
static void count(int fd)
{
	uint64_t sum = 0;
	ssize_t got;
	while ((got = read(fd, block, sizeof block)) > 0)
		sum += got;
	if (write(fd, &sum, sizeof sum) != sizeof sum)
		exit(1);
}

static void answer(int fd)
{
	char kind;
	if (!all_of(fd, &kind, 1))
		return;
	if (kind == SENDS)
		count(fd);
	else if (kind == TAKES)
		while (write(fd, block, sizeof block) > 0)
			;
	else
		while (all_of(fd, block, TRIP) && write(fd, block, TRIP) == TRIP)
			;
}

static int serve(int port)
{
	struct pollfd wait[] = {{listening(AF_INET, port), POLLIN, 0}, {listening(AF_VSOCK, port), POLLIN, 0}};
	signal(SIGCHLD, SIG_IGN);
	puts("serving");
	fflush(stdout);
	while (poll(wait, 2, -1) > 0)
		for (int n = 0; n < 2; n++)
			if (wait[n].revents & POLLIN) {
				int fd = accept(wait[n].fd, NULL, NULL);
				if (!fork()) {
					signal(SIGCHLD, SIG_DFL);
					answer(fd);
					_exit(0);
				}
				close(fd);
			}
	return 1;
}

static void send_for(int fd, double seconds)
{
	double began = now();
	uint64_t arrived;
	while (now() < began + seconds)
		if (write(fd, block, sizeof block) < 0)
			die("write");
	shutdown(fd, SHUT_WR);
	if (!all_of(fd, (char *)&arrived, sizeof arrived))
		die("read");
	printf("sent %llu in %f\n", (unsigned long long)arrived, now() - began);
}

static void take_for(int fd, double seconds)
{
	double began = now();
	uint64_t sum = 0;
	ssize_t got = 1;
	while (got > 0 && now() < began + seconds) {
		got = read(fd, block, sizeof block);
		sum += got > 0 ? got : 0;
	}
	printf("taken %llu in %f\n", (unsigned long long)sum, now() - began);
}

static void make_trips(int fd, int count)
{
	double began = now();
	int made = 0;
	while (made < count && write(fd, block, TRIP) == TRIP && all_of(fd, block, TRIP))
		made++;
	printf("trips %d in %f\n", made, now() - began);
}

int main(int words, char **word)
{
	signal(SIGPIPE, SIG_IGN);
	if (words == 3 && !strcmp(word[1], "serve"))
		return serve(atoi(word[2]));
	if (words != 5)
		return 2;
	int fd = connected(word[2], atoi(word[3]));
	char kind = !strcmp(word[1], "send") ? SENDS : !strcmp(word[1], "take") ? TAKES : TRIPS;
	if (write(fd, &kind, 1) != 1)
		die("write");
	if (kind == SENDS)
		send_for(fd, atof(word[4]));
	else if (kind == TAKES)
		take_for(fd, atof(word[4]));
	else
		make_trips(fd, atoi(word[4]));
	return 0;
}
