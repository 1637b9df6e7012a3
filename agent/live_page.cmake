# The files of the live page as texts in the program: dashboards/live, and Debian's dygraphs (MIT).
find_file(DYGRAPH_JS dygraph.min.js PATHS /usr/share/javascript/dygraphs REQUIRED)
cmake_path(GET DYGRAPH_JS PARENT_PATH dygraphs)
set(live ${PROJECT_SOURCE_DIR}/dashboards/live)
set(texts "")
# live_file(<path> <content type> <file>)
function(live_file path type file)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} text)
  # A brace of its own keeps a text apart from the code around it, whatever is in it.
  string(APPEND texts "    {\"${path}\", \"${type}\", R\"live_page(${text})live_page\"},\n")
  set(texts "${texts}" PARENT_SCOPE)
endfunction()
live_file(/ "text/html; charset=utf-8" ${live}/index.html)
live_file(/live/page.js "text/javascript; charset=utf-8" ${live}/page.js)
live_file(/live/page.css "text/css; charset=utf-8" ${live}/page.css)
live_file(/live/icon.svg "image/svg+xml" ${live}/icon.svg)
live_file(/live/dygraph.js "text/javascript; charset=utf-8" ${DYGRAPH_JS})
live_file(/live/dygraph.css "text/css; charset=utf-8" ${dygraphs}/dygraph.min.css)
live_file(/live/licences.txt "text/plain; charset=utf-8" ${live}/licences.txt)
set(live_page_source ${CMAKE_CURRENT_BINARY_DIR}/live_page_files.cc)
file(CONFIGURE OUTPUT ${live_page_source} CONTENT "#include \"live_page_files.h\"

namespace containerpilot::agent {

std::span<const LivePageFile> live_page_files() {
  static constexpr LivePageFile kFiles[] = {
@texts@  };
  return kFiles;
}

}  // namespace containerpilot::agent
" @ONLY)
# Compilers need not take texts this long; ours do.
set_source_files_properties(${live_page_source} PROPERTIES COMPILE_OPTIONS -Wno-overlength-strings)
target_sources(agent PRIVATE ${live_page_source})
