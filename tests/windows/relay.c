/* Two programs, by which one for Windows starts one of Linux, such as Git or an editor of a test: wine can start that by
 * itself, but tells nobody how it ended, and gives it no pipes.
 *
 * For Windows: stands for the program of its name, beside it or in the PATH, and starts the other half.
 * For Linux: relay PORT PROGRAM ARGUMENT... It runs the program on sockets to the first half. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <winsock2.h>
#include <windows.h>

/* Words are not patterns. */
int _dowildcard = 0;

/* Z:\a is /a, wherever a word has it. */
static void spell_as_there(char *word) {
    char *drive = strncmp(word, "Z:", 2) ? strstr(word, "=Z:") : word;
    if (!drive) return;
    if (*drive == '=') drive++;
    memmove(drive, drive + 2, strlen(drive + 2) + 1);
    for (; *drive; drive++) {
        if (*drive == '\\') *drive = '/';
    }
}

static void write_all(DWORD to, const char *bytes, DWORD count) {
    DWORD written;
    while (count && WriteFile(GetStdHandle(to), bytes, count, &written, NULL)) bytes += written, count -= written;
}

static DWORD WINAPI give_input(void *socket) {
    char bytes[65536];
    DWORD count;
    HANDLE input = GetStdHandle(STD_INPUT_HANDLE);
    while (ReadFile(input, bytes, sizeof bytes, &count, NULL) && count) {
        for (DWORD sent = 0, now; sent < count; sent += now) {
            if ((int)(now = send((SOCKET)socket, bytes + sent, count - sent, 0)) <= 0) return 0;
        }
    }
    return shutdown((SOCKET)socket, SD_SEND);
}

static DWORD WINAPI take_errors(void *socket) {
    char bytes[65536];
    for (int count; (count = recv((SOCKET)socket, bytes, sizeof bytes, 0)) > 0;) {
        write_all(STD_ERROR_HANDLE, bytes, count);
    }
    return 0;
}

int main(int count, char **words) {
    static char line[32768], program[MAX_PATH], relay[MAX_PATH], bytes[65536];
    GetModuleFileNameA(NULL, program, sizeof program);
    *strrchr(program, '.') = 0;
    /* An editor of a test is beside it, Git is not. */
    if (GetFileAttributesA(program) != INVALID_FILE_ATTRIBUTES) spell_as_there(program);
    else memmove(program, strrchr(program, '\\') + 1, strlen(strrchr(program, '\\')));
    GetEnvironmentVariableA("RELAY", relay, sizeof relay);

    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    SOCKET listener = socket(AF_INET, SOCK_STREAM, 0), out, err, end;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int length = sizeof address;
    bind(listener, (struct sockaddr *)&address, length);
    listen(listener, 3);
    getsockname(listener, (struct sockaddr *)&address, &length);

    int is_path_asked = 0;
    size_t at = snprintf(line, sizeof line, "relay %d \"%s\"", ntohs(address.sin_port), program);
    for (int i = 1; i < count && at < sizeof line - 2; i++) {
        is_path_asked |= !strcmp(words[i], "rev-parse");
        spell_as_there(words[i]);
        at += snprintf(line + at, sizeof line - at, " \"");
        for (char *c = words[i]; *c && at < sizeof line - 4; c++) {
            /* Backslashes count twice before a quote. */
            size_t slashes = strspn(c, "\\");
            if (slashes && (c[slashes] == '"' || !c[slashes])) line[at++] = '\\';
            if (*c == '"') line[at++] = '\\';
            line[at++] = *c;
        }
        line[at++] = '"';
    }
    line[at] = 0;
    STARTUPINFOA start = {sizeof start};
    PROCESS_INFORMATION process;
    if (!CreateProcessA(relay, line, NULL, NULL, FALSE, 0, NULL, NULL, &start, &process)) return 126;
    out = accept(listener, NULL, NULL);
    err = accept(listener, NULL, NULL);
    end = accept(listener, NULL, NULL);

    CreateThread(NULL, 0, give_input, (void *)out, 0, NULL);
    HANDLE errors = CreateThread(NULL, 0, take_errors, (void *)err, 0, NULL);
    for (int got, is_first = 1; (got = recv(out, bytes, sizeof bytes, 0)) > 0; is_first = 0) {
        /* Git for Windows tells paths of Windows. */
        if (is_first && is_path_asked && *bytes == '/') write_all(STD_OUTPUT_HANDLE, "Z:", 2);
        write_all(STD_OUTPUT_HANDLE, bytes, got);
    }
    WaitForSingleObject(errors, INFINITE);
    memset(bytes, 0, 16);
    recv(end, bytes, 15, MSG_WAITALL);
    ExitProcess(atoi(bytes));
}

#else
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/wait.h>
#include <unistd.h>

static int connected(const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), at_once = 1;
    address.sin_port = htons(atoi(port));
    if (connect(made, (struct sockaddr *)&address, sizeof address)) exit(125);
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    return made;
}

int main(int count, char **words) {
    if (count < 3) return 124;
    int out = connected(words[1]), err = connected(words[1]), end = connected(words[1]), status;
    pid_t child = fork();
    if (!child) {
        dup2(out, 0), dup2(out, 1), dup2(err, 2);
        execvp(words[2], words + 2);
        _exit(127);
    }
    close(out), close(err);
    waitpid(child, &status, 0);
    dprintf(end, "%d", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
#endif
