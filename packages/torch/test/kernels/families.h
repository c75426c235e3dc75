// The families of products that this machine can run: pairs of bfloat16, and float32 for each instruction set. Those of
// AVX-512 are there on every CPU, with their instructions emulated.
#pragma once
#include "check.h"
#include "kernels/gemm.h"

namespace kernels {

using namespace rfdetr::gemm;

struct Family {
  const Kernels* kernels;
  bool has_pairs;
};

inline std::vector<Family> families() {
  std::vector<Family> all{{avx512_pair_kernels(), true}, {avx2_f32_kernels(), false}, {avx512_f32_kernels(), false}};
  std::erase_if(all, [](const Family& family) { return !family.kernels; });
  return all;
}

/// Adds a test for each family.
struct AddForFamilies {
  template <class Body>
  AddForFamilies(const char* name, const Body& body) {
    for (const Family& family : families())
      tests().emplace_back(text(family.kernels->name, ": ", name), [family, body] { body(family); });
  }
};

}  // namespace kernels
