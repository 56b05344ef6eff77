//go:build race

package identity

// poolsForget says that a sync.Pool drops some of what it gets, as it does under the race detector: then allocations cannot be counted.
const poolsForget = true
