// Package store keeps several processes of one mind about the sessions that are not at home: it carries the batches of package shared
// through one stream of Redis or Valkey, in both directions, and reports of load through one channel. No request waits for it: requests put their changes into a queue and
// read the process's own maps.
//
// Only this package knows the network. A connection that fails is replaced, and what was sent and did not come back is sent again. A
// process that starts, or finds that the stream is not the one that it has read, reads the stream from as far back as sightings count.
// A process sends a beat every second through the same stream. So the time since the last batch says whether both
// directions work, whatever a connection says.
//
// Goroutines: Store.Run, started and awaited by the caller; it starts and awaits send, repair and tellLoad, and for each connection hear.
//
// known.go, connection.go, send.go, receive.go, repair.go, health.go and peers.go are tested in store_test.go, with real servers.
package store
