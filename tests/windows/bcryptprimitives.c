/* What Debian's wine 8 lacks: programs of Rust do not start without it. It is never packed. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID into, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE into, SIZE_T length) {
    return SystemFunction036(into, (ULONG)length);
}
