package pins

import "golang.org/x/sys/unix"

// useHugePage moves memory of the size and alignment of a huge page into one. Before Linux 6.1, and without a free huge page, the memory stays
// where it is.
func useHugePage(memory []byte) { _ = unix.Madvise(memory, unix.MADV_COLLAPSE) }
