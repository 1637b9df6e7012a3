# Also read by find_package(ContainerPilot): a static archive's users link its private libraries.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(CURL REQUIRED)
find_package(Boost 1.74 REQUIRED)
pkg_check_modules(cares REQUIRED IMPORTED_TARGET GLOBAL libcares)
pkg_check_modules(absl_time REQUIRED IMPORTED_TARGET GLOBAL absl_time)
