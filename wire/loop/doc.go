// Package loop has the event loops that serve clients on Linux, over epoll or io_uring: Loops, their Acceptor, and the Socket that goroutines
// use as a net.Conn while no Driver has it. It knows neither HTTP nor TLS. Package wire uses it, and package proxy has the drivers.
//
// Goroutines: Loops.Run, one for each loop, the first one the caller's. That goroutine is what is called the loop's thread: a thread of the
// system of its own with io_uring, which binds a ring to one, and any with epoll.
//
// acceptor_linux.go, driven_linux.go, endpoint_linux.go, limits_linux.go, loop_linux.go, outbox_linux.go, ring_driven_linux.go, ring_loop_linux.go,
// ring_operations_linux.go, race_linux.go and norace_linux.go are tested in socket_linux_test.go and loops_linux_test.go, over each engine.
package loop
