// Which vector instructions the kernels of this addon use.
#pragma once

namespace rfdetr {

/// The instruction sets that kernels are written for, narrowest first: what every CPU of the platform has; AVX2 with
/// FMA and F16C; AVX-512 with its F, BW, DQ and VL parts; the same with AVX512-BF16 and matrix units for bfloat16
/// (AMX-BF16), where Linux lets this process use them.
enum class Isa { baseline, avx2, avx512, amx };

/// The widest one that this CPU has and that the variable RFDETR_ISA (a name of the above) does not hide. It is read
/// once. Hides nothing from libtorch, and nothing from EVERY_CPU functions, whose version the loader picks.
/// Throws std::invalid_argument for another value of the variable.
Isa isa();

/// Whether kernels of bfloat16 pairs pay: there are matrix units that take them, or AVX512-BF16 on a CPU without. A CPU
/// with both multiplies pairs in its vectors more slowly than float32 (a Xeon of 2023: 162 and 231 GFLOP/s on two
/// cores).
bool pairs_pay();

const char* isa_name(Isa isa);

}  // namespace rfdetr
