// Which vector instructions the kernels of this addon use.
#pragma once

namespace rfdetr {

/// The instruction sets that kernels are written for, narrowest first: what every CPU of the platform has; AVX2 with
/// FMA and F16C; AVX-512 with its F, BW, DQ and VL parts.
enum class Isa { baseline, avx2, avx512 };

/// The widest one that this CPU has and that the variable RFDETR_ISA (a name of the above) does not hide. It is read
/// once. Hides nothing from libtorch, and nothing from EVERY_CPU functions, whose version the loader picks.
/// Throws std::invalid_argument for another value of the variable.
Isa isa();

/// Whether this CPU has matrix units for bfloat16 (AMX-BF16), which libtorch's products use.
bool has_amx_bf16();

/// Whether kernels of bfloat16 pairs pay: this CPU has AVX512-BF16, RFDETR_ISA does not hide AVX-512, and there is no
/// AMX. CPUs with both multiply pairs more slowly than float32 (a Xeon of 2023: 162 and 231 GFLOP/s on two cores).
bool pairs_pay();

const char* isa_name(Isa isa);

}  // namespace rfdetr
