find_package(prometheus-cpp CONFIG REQUIRED COMPONENTS core)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
find_package(civetweb CONFIG REQUIRED)  # our build of it, see agent/packaging/deps.sh
