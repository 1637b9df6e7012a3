#pragma once

#include <random>

namespace containerpilot {

/// From the kernel. A plain std::random_device asks the processor first what it can do, and each
/// question leaves a virtual machine: 50 us at every start. Throws std::runtime_error on kernels
/// before 3.17.
inline std::random_device::result_type random_seed() { return std::random_device("getentropy")(); }

}  // namespace containerpilot
