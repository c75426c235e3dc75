// The headers of libtorch that nearly every file includes. Set-up parses them once and hands the result to the compiler
// (setup/compile.mjs), which takes less than half as long then. Every file still includes what it needs itself.
#pragma once
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>
