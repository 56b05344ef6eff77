// Package pins remembers where each session is: a Map from session keys to upstreams.
//
// Package session calls it for every request. It knows nothing of the upstreams but their Refs, and decides nothing.
//
// Goroutines: Map.Run, started and awaited by the caller. The rules of config.go are tested in package config, those of saved.go in package snapshot.
package pins
