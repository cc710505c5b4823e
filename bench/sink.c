/* The receiver of the benchmarks: one thread, epoll, HTTP/1.1 or plain lines over TCP, on a loopback port.
 *
 *   sink [--port N] [--retry-percent P] [--ids] [--encoded FILE]     serve; prints the port
 *   sink --scan FILE...                                              judge what stands in files instead
 *
 * A line of a benchmark bears its number: MARK and twelve digits, and perhaps '@' and the microsecond of its writing.
 * No format escapes these, so every body is judged alike: JSON, JSON lines, bulk, syslog frames. Each number sets a bit:
 * loss and duplicates are known exactly. GET /stats tells, GET /verdict tells and forgets.
 *
 *   --retry-percent  asks for this share of the events once more, the first time they come
 *   --ids            remembers the unique_id of each number, and counts those that come twice with another one
 *   --encoded        where bodies with a Content-Encoding go as they came, to be judged by --scan afterwards
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define MARK "-9f1d-"
#define MARK_SIZE 6
#define DIGITS 12
#define STAMP 17 /* '@' and sixteen digits */
#define NUMBERS (1ull << 30)
#define NUMBERS_WITH_ID (1ull << 28)
#define LATENCIES (1u << 20)
#define BODY_LIMIT (256u << 20)

static struct {
    uint64_t requests, bytes, events, distinct, renamed, foreign, deferred, encoded;
    double first, last;
    uint32_t latencies;
} told;
static uint64_t *seen, *asked_again; /* bits by number */
static uint32_t *ids;                /* hash of the unique_id by number */
static float *latencies;             /* seconds */
static unsigned retry_percent;
static int encoded_file = -1;

struct connection {
    int descriptor;
    bool lines, continued, close;
    char *buffer;
    size_t used, capacity;
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void *pages(size_t size)
{
    void *found = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED)
        fail("mmap");
    return found;
}

static void forget(void)
{
    memset(&told, 0, sizeof told);
    /* Pages that were given back read as zero again. */
    madvise(seen, NUMBERS / 8, MADV_DONTNEED);
    madvise(asked_again, NUMBERS / 8, MADV_DONTNEED);
    if (ids)
        madvise(ids, NUMBERS_WITH_ID * sizeof *ids, MADV_DONTNEED);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Returns the first MARK at or after `at`, or `end`. Compares 16 places at a time where the processor can. */
static const char *find_mark(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i dash = _mm_set1_epi8('-'), nine = _mm_set1_epi8('9'), one = _mm_set1_epi8('1');
    for (; end - at >= 16 + MARK_SIZE; at += 16) {
        __m128i both = _mm_and_si128(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)at), dash),
                                     _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(at + 1)), nine));
        both = _mm_and_si128(both, _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(at + 3)), one));
        for (unsigned hits = (unsigned)_mm_movemask_epi8(both); hits; hits &= hits - 1) {
            const char *hit = at + __builtin_ctz(hits);
            if (!memcmp(hit, MARK, MARK_SIZE))
                return hit;
        }
    }
#endif
    const char *hit = memmem(at, (size_t)(end - at), MARK, MARK_SIZE);
    return hit ? hit : end;
}

static bool decimal(const char *at, unsigned count, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned digit = (unsigned)(unsigned char)at[i] - '0';
        if (digit > 9)
            return false;
        *value = *value * 10 + digit;
    }
    return true;
}

/* Finds the text of the last unique_id of [from, until); its length is returned, 0 for none. */
static size_t unique_id(const char *from, const char *until, const char **text)
{
    static const char name[] = "\"unique_id\"";
    for (const char *at = until - sizeof name; at >= from; at--) {
        if (*at != '"' || memcmp(at, name, sizeof name - 1))
            continue;
        const char *open = memchr(at + sizeof name - 1, '"', (size_t)(until - at) - (sizeof name - 1));
        const char *close = open ? memchr(open + 1, '"', (size_t)(until - open - 1)) : NULL;
        *text = open + 1;
        return close ? (size_t)(close - open - 1) : 0;
    }
    return 0;
}

static uint32_t hash(const char *text, size_t size)
{
    uint32_t value = 2166136261u;
    for (size_t i = 0; i < size; i++)
        value = (value ^ (unsigned char)text[i]) * 16777619u;
    return value ? value : 1;
}

/* Notes the events of a body; writes the entries of retry_events into `again`. */
static void judge(const char *from, const char *end, double at_time, FILE *again)
{
    const char *previous = from;
    for (const char *at = from; (at = find_mark(at, end)) != end;) {
        const char *digits = at + MARK_SIZE;
        uint64_t number, written;
        at = digits;
        if (end - digits < DIGITS || !decimal(digits, DIGITS, &number) || number >= NUMBERS) {
            told.foreign++;
            continue;
        }
        at = digits + DIGITS;
        uint64_t bit = 1ull << (number % 64), *word = &seen[number / 64];
        const char *id;
        if (again && number * 2654435761u % 100 < retry_percent && !(asked_again[number / 64] & bit)) {
            size_t size = unique_id(previous, digits, &id);
            fprintf(again, "%s{\"unique_id\":\"%.*s\",\"status\":\"unprocessed\"}", ftell(again) ? "," : "", (int)size, id);
            asked_again[number / 64] |= bit;
            told.deferred++;
            previous = at;
            continue;
        }
        told.events++;
        if (!(*word & bit)) {
            *word |= bit;
            told.distinct++;
        }
        if (ids && number < NUMBERS_WITH_ID) {
            size_t size = unique_id(previous, digits, &id);
            uint32_t mine = size ? hash(id, size) : 1;
            told.renamed += ids[number] && ids[number] != mine;
            ids[number] = ids[number] ? ids[number] : mine;
        }
        if (end - at >= STAMP && *at == '@' && decimal(at + 1, STAMP - 1, &written) && told.latencies < LATENCIES)
            latencies[told.latencies++] = (float)(at_time - (double)written / 1e6);
        previous = at;
    }
}

static void note_arrival(size_t size, double at_time)
{
    told.requests++;
    told.bytes += size;
    told.last = at_time;
    if (told.first == 0)
        told.first = at_time;
}

static void write_verdict(FILE *out)
{
    fprintf(out,
            "{\"requests\": %lu, \"bytes\": %lu, \"events\": %lu, \"distinct\": %lu, \"twice\": %lu, "
            "\"twice_with_another_id\": %lu, \"foreign\": %lu, \"asked_again\": %lu, \"encoded\": %lu, "
            "\"first\": %.6f, \"last\": %.6f, \"seconds\": %.6f, \"latencies\": [",
            told.requests, told.bytes, told.events, told.distinct, told.events - told.distinct, told.renamed,
            told.foreign, told.deferred, told.encoded, told.first, told.last, told.last - told.first);
    for (uint32_t i = 0; i < told.latencies; i++)
        fprintf(out, "%s%.7f", i ? ", " : "", (double)latencies[i]);
    fputs("]}", out);
}

static void send_all(struct connection *c, const char *from, size_t size)
{
    while (size) {
        ssize_t sent = send(c->descriptor, from, size, MSG_NOSIGNAL);
        if (sent > 0) {
            from += sent;
            size -= (size_t)sent;
        } else if (errno == EAGAIN) {
            usleep(100); /* answers are short: a peer that does not take one is waited for */
        } else {
            c->close = true;
            return;
        }
    }
}

static void answer(struct connection *c, const char *status, const char *body, size_t size)
{
    char head[128];
    int length = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                          status, size);
    if (size < 1024) {
        char whole[sizeof head + 1024];
        memcpy(whole, head, (size_t)length);
        memcpy(whole + length, body, size);
        send_all(c, whole, (size_t)length + size);
    } else {
        send_all(c, head, (size_t)length);
        send_all(c, body, size);
    }
}

static void take(struct connection *c, const char *head, char *body, size_t size, bool encoded)
{
    double at_time = now();
    if (!strncmp(head, "GET ", 4) || !strncmp(head, "HEAD", 4)) {
        char *text = NULL;
        size_t length = 0;
        FILE *out = open_memstream(&text, &length);
        bool verdict = !strncmp(head, "GET /verdict", 12);
        if (verdict || !strncmp(head, "GET /stats", 10))
            write_verdict(out);
        fclose(out);
        if (verdict)
            forget();
        answer(c, "200 OK", text, length);
        free(text);
        return;
    }
    note_arrival(size, at_time);
    if (encoded) {
        told.encoded++;
        if (encoded_file >= 0 && write(encoded_file, body, size) != (ssize_t)size)
            fail("--encoded");
        answer(c, "201 Created", "{}", 2);
    } else if (!retry_percent) {
        judge(body, body + size, at_time, NULL);
        if (memmem(head, 64, "_bulk", 5))
            answer(c, "200 OK", "{\"took\":1,\"errors\":false,\"items\":[]}", 36);
        else
            answer(c, "201 Created", "{}", 2);
    } else {
        char *text = NULL;
        size_t length = 0;
        FILE *out = open_memstream(&text, &length);
        judge(body, body + size, at_time, out);
        fclose(out);
        char *whole = NULL;
        int whole_size = asprintf(&whole, "{\"success_events\":[],\"discard_events\":[],\"retry_events\":[%s]}", text);
        answer(c, "201 Created", whole, (size_t)whole_size);
        free(whole);
        free(text);
    }
}

static const char *header(const char *head, const char *name)
{
    const char *found = strcasestr(head, name);
    return found ? found + strlen(name) + strspn(found + strlen(name), " \t") : NULL;
}

/* Joins the chunks that stand at `from`; false when the last one is not here yet. */
static bool dechunk(char *from, char *until, size_t *size, char **after)
{
    char *end = NULL;
    for (int pass = 0; pass < 2; pass++) { /* first see whether all is here, then move */
        char *at = from, *out = from;
        for (;;) {
            end = memmem(at, (size_t)(until - at), "\r\n", 2);
            if (!end)
                return false;
            size_t chunk = strtoul(at, NULL, 16);
            if ((size_t)(until - end) < chunk + 4)
                return false;
            if (pass)
                memmove(out, end + 2, chunk);
            out += chunk;
            at = end + 2 + chunk + 2;
            if (!chunk)
                break;
        }
        *size = (size_t)(out - from);
        *after = at;
    }
    return true;
}

/* Handles one request at `at`; returns where the next one begins, NULL while this one is not whole. */
static char *request(struct connection *c, char *at)
{
    char *until = c->buffer + c->used;
    char *end = memmem(at, (size_t)(until - at), "\r\n\r\n", 4);
    if (!end)
        return NULL;
    char *body = end + 4, *after = body;
    char kept = *body;
    *body = 0;
    const char *length = header(at, "\r\ncontent-length:"), *chunked = header(at, "\r\ntransfer-encoding:");
    bool encoded = header(at, "\r\ncontent-encoding:") != NULL;
    bool asks = header(at, "\r\nexpect:") != NULL;
    size_t size = length ? strtoul(length, NULL, 10) : 0;
    *body = kept;
    if (asks && !c->continued) {
        send_all(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        c->continued = true;
    }
    if (chunked) {
        if (!dechunk(body, until, &size, &after))
            return NULL;
    } else {
        if ((size_t)(until - body) < size)
            return NULL;
        after = body + size;
    }
    c->continued = false;
    take(c, at, body, size, encoded);
    return after;
}

/* Works off what is in the buffer. Of plain lines the end is kept, where a mark may be cut. */
static void digest(struct connection *c)
{
    if (c->used && !c->lines && !strchr("GPH", c->buffer[0]))
        c->lines = true;
    if (c->lines) {
        size_t whole = c->used;
        while (whole && c->buffer[whole - 1] != '\n')
            whole--;
        if (!whole)
            return;
        double at_time = now();
        note_arrival(whole, at_time);
        judge(c->buffer, c->buffer + whole, at_time, NULL);
        memmove(c->buffer, c->buffer + whole, c->used -= whole);
        return;
    }
    char *at = c->buffer;
    for (char *next; at < c->buffer + c->used && (next = request(c, at)); at = next)
        ;
    memmove(c->buffer, at, c->used -= (size_t)(at - c->buffer));
}

static void drop(struct connection *c)
{
    if (c->lines && c->used) {
        note_arrival(c->used, now());
        judge(c->buffer, c->buffer + c->used, told.last, NULL);
    }
    close(c->descriptor);
    free(c->buffer);
    free(c);
}

static void readable(struct connection *c)
{
    for (;;) {
        if (c->capacity - c->used < (64u << 10)) {
            c->capacity = c->capacity ? c->capacity * 2 : 512u << 10;
            if (c->capacity > BODY_LIMIT || !(c->buffer = realloc(c->buffer, c->capacity)))
                fail("a body is too long");
        }
        ssize_t got = recv(c->descriptor, c->buffer + c->used, c->capacity - c->used - 1, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got > 0) {
            c->used += (size_t)got;
            c->buffer[c->used] = 0;
            digest(c);
        }
        if (got <= 0 || c->close) {
            drop(c);
            return;
        }
    }
}

static void serve(uint16_t port)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 512))
        fail("listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = NULL}}, ready[64];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(poll, ready, 64, -1);
        for (int i = 0; i < count; i++) {
            if (ready[i].data.ptr) {
                readable(ready[i].data.ptr);
                continue;
            }
            struct connection *c = calloc(1, sizeof *c);
            c->descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (c->descriptor < 0) {
                free(c);
                continue;
            }
            setsockopt(c->descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
            event.data.ptr = c;
            epoll_ctl(poll, EPOLL_CTL_ADD, c->descriptor, &event);
        }
    }
}

static void scan(const char *path)
{
    enum { SIZE = 4 << 20 };
    char *buffer = malloc(SIZE);
    size_t used = 0;
    FILE *in = strcmp(path, "-") ? fopen(path, "rb") : stdin;
    if (!in)
        fail(path);
    note_arrival(0, now());
    for (size_t got; (got = fread(buffer + used, 1, SIZE - used, in)) || used;) {
        size_t whole = used += got;
        while (got && whole && buffer[whole - 1] != '\n' && buffer[whole - 1] != '}')
            whole--;
        whole = whole ? whole : used;
        told.bytes += whole;
        judge(buffer, buffer + whole, told.first, NULL);
        memmove(buffer, buffer + whole, used -= whole);
    }
    fclose(in);
    free(buffer);
}

int main(int count, char **arguments)
{
    uint16_t port = 0;
    int files = 0;
    seen = pages(NUMBERS / 8);
    asked_again = pages(NUMBERS / 8);
    latencies = pages(LATENCIES * sizeof *latencies);
    for (int i = 1; i < count; i++) {
        const char *option = arguments[i], *value = i + 1 < count ? arguments[i + 1] : "";
        if (!strcmp(option, "--ids")) {
            ids = pages(NUMBERS_WITH_ID * sizeof *ids);
        } else if (!strcmp(option, "--port") && ++i) {
            port = (uint16_t)atoi(value);
        } else if (!strcmp(option, "--retry-percent") && ++i) {
            retry_percent = (unsigned)atoi(value);
        } else if (!strcmp(option, "--encoded") && ++i) {
            if ((encoded_file = open(value, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600)) < 0)
                fail(value);
        } else if (!strcmp(option, "--scan")) {
            for (i++; i < count; i++, files++)
                scan(arguments[i]);
        } else {
            fprintf(stderr, "sink: no option %s\n", option);
            return 2;
        }
    }
    if (files) {
        write_verdict(stdout);
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    serve(port);
}
