// Package uring has the system calls of io_uring that package wire/loop needs: a Ring, its queues, and the buffers that it receives into.
// It knows no sockets. A Ring needs Linux 6.1.
//
// buffers_linux.go and operations_linux.go are tested in ring_linux_test.go. Package wire/loop tests what Open says if the kernel refuses a ring.
package uring
