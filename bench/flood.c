/* A sender that does next to nothing, to show what the sink can take: flood PORT EVENTS [EVENTS-A-BODY] [BYTES] [STREAM].
 *
 * One connection, one request at a time, as a lane does it; the events differ in their number only, floods in
 * their stream, of 32 hexadecimal digits. Prints events a second.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Writes `value` as twelve digits. */
static void put(char *at, unsigned long value)
{
    for (int i = 11; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
}

/* Reads one whole answer; its length stands in its head. */
static void take_answer(int peer)
{
    static char answer[1 << 20];
    size_t used = 0, whole = 0;
    while (!whole || used < whole) {
        ssize_t got = read(peer, answer + used, sizeof answer - 1 - used);
        if (got <= 0)
            fail("read");
        answer[used += (size_t)got] = 0;
        const char *end = strstr(answer, "\r\n\r\n"), *length = strcasestr(answer, "\r\ncontent-length:");
        if (end && !whole)
            whole = (size_t)(end + 4 - answer) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
    }
    if (strncmp(answer, "HTTP/1.1 2", 10)) {
        fprintf(stderr, "flood: answered: %.40s\n", answer);
        exit(1);
    }
}

int main(int count, char **arguments)
{
    if (count < 3)
        return 2;
    unsigned long events = strtoul(arguments[2], NULL, 10);
    unsigned per_body = count > 3 ? (unsigned)atoi(arguments[3]) : 500;
    unsigned line = count > 4 ? (unsigned)atoi(arguments[4]) : 365;
    const char *stream = count > 5 ? arguments[5] : "0123456789abcdef0123456789abcdef";
    /* What an agent adds to a line: its envelope. */
    size_t room = line + 512, size = 0;
    char *body = malloc(room * per_body + 64), **numbers = malloc(per_body * sizeof *numbers);
    char **ids = malloc(per_body * sizeof *ids);
    size += (size_t)sprintf(body, "{\"events\":[");
    for (unsigned i = 0; i < per_body; i++) {
        size_t before = size;
        size += (size_t)sprintf(body + size,
                                "%s{\"unique_id\":\"%s.000000000000\",\"create_time\":"
                                "\"2026-05-04T12:00:00.000000Z\",\"event\":{\"hostname\":\"bench\",\"request_id\":"
                                "\"5f6f2b1e-0c3f-4a55-9f1d-",
                                i ? "," : "", stream);
        ids[i] = memmem(body + before, size - before, ".0", 2) + 1; /* the first one: no stream has a point */
        numbers[i] = body + size;
        memset(body + size, '0', 12);
        size += 12;
        size += (size_t)sprintf(body + size, "\",\"pad\":\"");
        unsigned pad = line > 80 ? line - 80 : 0;
        memset(body + size, 'x', pad);
        size += pad;
        size += (size_t)sprintf(body + size, "\"}}");
    }
    size += (size_t)sprintf(body + size, "]}");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(arguments[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int peer = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(peer, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    char head[256];
    int head_size = sprintf(head, "POST /v1/bulk_audit_events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", size);
    double began = now();
    unsigned long sent = 0;
    while (sent < events) {
        for (unsigned i = 0; i < per_body; i++)
            put(ids[i], sent + 100000000000), put(numbers[i], sent++);
        if (write(peer, head, (size_t)head_size) != head_size || write(peer, body, size) != (ssize_t)size)
            fail("write");
        take_answer(peer);
    }
    printf("%.0f\n", (double)sent / (now() - began));
    return 0;
}
