/* Stands for the program in tests: runs NAME.exe of its folder by wine, where NAME is the name by which it is called, or
 * sealant. Called as `run`, it runs the program that its first argument names. Folders of the test's own become what
 * Windows has for them; bcryptprimitives.c sets them in the program. */
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A list of paths as Windows has it: /a:/b is Z:\a;Z:\b. */
static char *for_windows(const char *paths) {
    char *list = malloc(4 * strlen(paths) + 4), *end = list;
    int starts = 1;
    for (; *paths; paths++) {
        if (starts && *paths == '/') end = stpcpy(end, "Z:");
        starts = *paths == ':';
        *end++ = starts ? ';' : *paths == '/' ? '\\' : *paths;
    }
    *end = 0;
    return list;
}

static void translate(const char *of_unix, const char *of_windows) {
    const char *value = getenv(of_unix);
    if (value) setenv(of_windows, for_windows(value), 1);
}

int main(int count, char **words) {
    char folder[PATH_MAX] = "", program[PATH_MAX + NAME_MAX], path[1 << 16];
    if (readlink("/proc/self/exe", folder, sizeof folder - 1) < 0) return 126;
    dirname(folder);
    if (!strcmp(basename(words[0]), "run") && count > 1) {
        snprintf(program, sizeof program, "%s", words[1]);
        words++, count--;
    } else {
        snprintf(program, sizeof program, "%s/%s.exe", folder, basename(words[0]));
        if (access(program, F_OK)) snprintf(program, sizeof program, "%s/sealant.exe", folder);
    }

    /* The folder is for the library, which is not beside each program. */
    snprintf(path, sizeof path, "%s:%s", folder, getenv("PATH") ? getenv("PATH") : "");
    setenv("WINEPATH", for_windows(path), 1);
    snprintf(path, sizeof path, "%s/relay", folder);
    setenv("RELAY", for_windows(path), 1);
    translate("TMPDIR", "RUNNER_TMP");
    translate("XDG_CONFIG_HOME", "RUNNER_APPDATA");
    translate("HOME", "RUNNER_USERPROFILE");
    /* Wine has its server there, one for each such folder. */
    unsetenv("TMPDIR");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("XDG_RUNTIME_DIR");

    char prefix[PATH_MAX + 8];
    snprintf(prefix, sizeof prefix, "%s/prefix", folder);
    setenv("WINEPREFIX", prefix, 1);
    setenv("WINEDEBUG", "-all", 1);
    char **line = calloc(count + 2, sizeof *line);
    line[0] = WINE;
    line[1] = program;
    memcpy(line + 2, words + 1, (count - 1) * sizeof *line);
    execv(WINE, line);
    perror(WINE);
    return 127;
}
