// Package fleet runs the processes of chaos: simulated vLLM servers, each a process of its own, and tether. It breaks them and mends them, and
// knows nothing of clients. It needs Linux, for signals and limits of other processes. All other files are tested in fleet_linux_test.go.
package fleet
