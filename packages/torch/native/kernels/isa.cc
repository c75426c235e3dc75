#include "isa.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace rfdetr {

namespace {

/// Asks Linux for the state of tiles, for this process and all its threads.
bool may_use_tiles() {
#if defined(__x86_64__) && defined(__linux__)
  constexpr long ask_for_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, ask_for_permission, tile_data) == 0;
#else
  return false;
#endif
}

/// The widest instruction set of this CPU, and whether pairs pay in vectors.
struct Cpu {
  Isa isa;
  bool pairs;
};

Cpu this_cpu() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c"))
    return {Isa::baseline, false};
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
    return {Isa::avx2, false};
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  const bool has_tiles = __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx >> 22 & 1) != 0;  // AMX-BF16
  const bool has_pairs = __builtin_cpu_supports("avx512bf16");
  return {has_pairs && has_tiles && may_use_tiles() ? Isa::amx : Isa::avx512, has_pairs && !has_tiles};
#else
  return {Isa::baseline, false};
#endif
}

Isa allowed() {
  const char* const text = std::getenv("RFDETR_ISA");
  if (!text || !*text) return Isa::amx;
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512, Isa::amx})
    if (std::string(text) == isa_name(isa)) return isa;
  throw std::invalid_argument(std::string("Expected baseline, avx2, avx512 or amx for RFDETR_ISA but received \"") +
                              text + "\"");
}

}  // namespace

Isa isa() {
  static const Isa widest = std::min(this_cpu().isa, allowed());
  return widest;
}

bool pairs_pay() {
  static const bool in_vectors = this_cpu().pairs;
  return isa() == Isa::amx || (isa() == Isa::avx512 && in_vectors);
}

const char* isa_name(Isa isa) {
  static constexpr const char* names[] = {"baseline", "avx2", "avx512", "amx"};
  return names[static_cast<int>(isa)];
}

}  // namespace rfdetr
