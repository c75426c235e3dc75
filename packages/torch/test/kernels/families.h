// The families of products that this machine can run: pairs of bfloat16 in vectors and in matrix units,
// and float32 for each instruction set. Those of AVX-512 and AMX are there on every CPU, with their instructions
// emulated.
#pragma once
#include "check.h"
#include "kernels/gemm.h"

namespace kernels {

using namespace rfdetr::gemm;

struct Family {
  const Kernels* kernels;
  bool has_pairs;
  /// Whether squares of 16 × 16 cells are transposed in panels of the left operand.
  bool has_tiles = false;
};

inline std::vector<Family> families() {
  std::vector<Family> all{{avx512_pair_kernels(), true},
                          {amx_pair_kernels(), true, true},
                          {avx2_f32_kernels(), false},
                          {avx512_f32_kernels(), false}};
  std::erase_if(all, [](const Family& family) { return !family.kernels || !runs(family.kernels->name); });
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
