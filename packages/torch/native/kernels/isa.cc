#include "isa.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace rfdetr {

namespace {

Isa of_this_cpu() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c"))
    return Isa::baseline;
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return has_avx512 ? Isa::avx512 : Isa::avx2;
#else
  return Isa::baseline;
#endif
}

Isa allowed() {
  const char* const text = std::getenv("RFDETR_ISA");
  if (!text || !*text) return Isa::avx512;
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512})
    if (std::string(text) == isa_name(isa)) return isa;
  throw std::invalid_argument(std::string("Expected baseline, avx2 or avx512 for RFDETR_ISA but received \"") + text +
                              "\"");
}

}  // namespace

Isa isa() {
  static const Isa widest = std::min(of_this_cpu(), allowed());
  return widest;
}

bool has_amx_bf16() {
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx >> 22 & 1) != 0;
#else
  return false;
#endif
}

bool pairs_pay() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return isa() == Isa::avx512 && __builtin_cpu_supports("avx512bf16") && !has_amx_bf16();
#else
  return false;
#endif
}

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::baseline: return "baseline";
    case Isa::avx2: return "avx2";
    default: return "avx512";
  }
}

}  // namespace rfdetr
