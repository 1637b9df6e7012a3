#pragma once

namespace containerpilot::agent {

/// Gives the system back what a start or a reload needed and the hours after it do not: freed
/// memory, and pages of code, which come back as they are used (some 50 faults, in all half a
/// millisecond: the first scrape takes that much longer).
void give_back_memory();

/// From now on the system gets blocks of a megabyte and more back when they are freed. (glibc would
/// take the first of them for a habit and keep all others.)
void give_back_long_blocks();

}  // namespace containerpilot::agent
