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

/// Whether this CPU multiplies pairs of bfloat16 (AVX512-BF16), and RFDETR_ISA does not hide AVX-512.
bool has_avx512_bf16();

const char* isa_name(Isa isa);

}  // namespace rfdetr
