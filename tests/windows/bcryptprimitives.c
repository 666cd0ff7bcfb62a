/* What Debian's wine 8 lacks: programs of Rust do not start without it. It is never packed.
 *
 * It also gives the program the folders of a test (runner.c): wine takes these variables from its registry, whatever they
 * were before. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID into, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE into, SIZE_T length) {
    return SystemFunction036(into, (ULONG)length);
}

static void set(const char *name, const char *from) {
    static char value[32768];
    if (GetEnvironmentVariableA(from, value, sizeof value)) SetEnvironmentVariableA(name, value);
    SetEnvironmentVariableA(from, NULL);
}

BOOL WINAPI DllMain(HINSTANCE dll, DWORD why, LPVOID how) {
    if (why == DLL_PROCESS_ATTACH) {
        set("TMP", "RUNNER_TMP");
        set("APPDATA", "RUNNER_APPDATA");
        set("USERPROFILE", "RUNNER_USERPROFILE");
    }
    return TRUE;
}
