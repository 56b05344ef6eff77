// Package auth knows the API keys of clients: their names, hashes and limits, from a file that is read again when it changes.
// Neither a key nor a hash leaves the package, not even in an error. Package proxy decides where in a request a key is
// looked for, and how a caller without one, or beyond a limit, is answered.
//
// The rules of config.go are tested in package config.
package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"sync/atomic"

	"tether/files"
	"tether/limit"
)

// Caller is the owner of one or two API keys, with the limits of the owner's requests: those in flight, and those that begin in a minute.
// It must not be copied.
type Caller struct {
	name string
	limit.Places
	limit.Rate
}

// Name is the caller's name, unique in the file.
func (c *Caller) Name() string { return c.name }

// Keys are the API keys in force. Its methods may be called from any goroutine.
type Keys struct {
	file     string
	table    atomic.Pointer[table] // written when the file was read, and by Inherit
	follower *files.Follower
}

// table is the keys of one content of the file. It is immutable; the counts of its callers are not.
type table struct {
	names    []string
	callers  map[string]*Caller // by name
	limits   map[string]limits  // by name
	byPrefix map[uint64][]key
}

// key is the hash of a key, and the key's owner.
type key struct {
	hash  [sha256.Size]byte
	owner *Caller
}

// Find returns the owner of the API key that was presented, nil if there is no such key.
//
// The time it takes tells nothing of the keys. Find looks for the hash of what was presented. The map compares eight
// bytes of the hash at once, so that guesses cannot approach a hash byte by byte, and the rest is compared in constant
// time. Even a whole hash would be no key.
func (k *Keys) Find(presented []byte) (owner *Caller) {
	hash := sha256.Sum256(presented)
	for _, one := range k.table.Load().byPrefix[prefixOf(&hash)] {
		if subtle.ConstantTimeCompare(one.hash[:], hash[:]) == 1 {
			owner = one.owner
		}
	}
	return owner
}

// Names returns the names of all keys in force.
func (k *Keys) Names() []string { return k.table.Load().names }

// Files returns the follower of the file, for files.Follow.
func (k *Keys) Files() *files.Follower { return k.follower }

// Inherit takes over the counts of the callers that both have by name, so that a limit holds over a change of the file or of the
// configuration. Callers of k have the limits that k gives them. Requests that k has begun already keep counting for their former caller.
func (k *Keys) Inherit(from *Keys) { k.table.Store(k.table.Load().inherit(from.table.Load())) }

// inherit returns t with the callers of before where both have the name, and brings the limits of t into force.
func (t *table) inherit(before *table) *table {
	next := &table{names: t.names, callers: map[string]*Caller{}, limits: t.limits, byPrefix: map[uint64][]key{}}
	for _, name := range t.names {
		c := t.callers[name]
		if before != nil && before.callers[name] != nil {
			c = before.callers[name]
		}
		c.Limit(t.limits[name].inFlight)
		c.PerMinute(t.limits[name].perMinute)
		next.callers[name] = c
	}
	for _, keys := range t.byPrefix {
		for _, k := range keys {
			next.add(next.callers[k.owner.name], k.hash)
		}
	}
	return next
}

func (t *table) add(owner *Caller, hash [sha256.Size]byte) {
	p := prefixOf(&hash)
	t.byPrefix[p] = append(t.byPrefix[p], key{hash, owner})
}

func prefixOf(hash *[sha256.Size]byte) uint64 { return binary.LittleEndian.Uint64(hash[:]) }
