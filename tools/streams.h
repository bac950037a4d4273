// Standard streams that are closed when the command starts.
#pragma once

namespace vmrun::tools {

/// Occupies those of the descriptors 0 to 2 that are closed. Call it before anything is opened: the next file would get
/// the number of a closed stream, be read as its input, or receive its messages. Reading and writing what stands there
/// fails as on a closed descriptor (EBADF), and a guest that inherits it has none.
void occupy_closed_streams();

}  // namespace vmrun::tools
