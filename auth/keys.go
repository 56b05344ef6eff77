// Package auth knows the API keys of clients: their names and hashes, from a file that is read again when it changes.
// Neither a key nor a hash leaves the package, not even in an error. Package proxy decides where in a request a key is
// looked for, and how a caller without one is answered.
//
// The rules of config.go are tested in package config.
package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"sync/atomic"

	"tether/files"
)

// Keys are the API keys in force. Name and Names may be called from any goroutine.
type Keys struct {
	file     string
	table    atomic.Pointer[table] // written when the file was read
	follower *files.Follower
}

// table is the keys of one content of the file. It is immutable.
type table struct {
	names    []string
	byPrefix map[uint64][]key
}

// key is the hash of a key, and the name of the key's owner.
type key struct {
	hash [sha256.Size]byte
	name string
}

// Name returns the name of the API key that was presented, and reports whether there is such a key.
//
// The time it takes tells nothing of the keys. Name looks for the hash of what was presented. The map compares eight
// bytes of the hash at once, so that guesses cannot approach a hash byte by byte, and the rest is compared in constant
// time. Even a whole hash would be no key.
func (k *Keys) Name(presented []byte) (name string, ok bool) {
	hash := sha256.Sum256(presented)
	for _, one := range k.table.Load().byPrefix[prefixOf(&hash)] {
		if subtle.ConstantTimeCompare(one.hash[:], hash[:]) == 1 {
			name, ok = one.name, true
		}
	}
	return name, ok
}

// Names returns the names of all keys in force.
func (k *Keys) Names() []string { return k.table.Load().names }

// Files returns the follower of the file, for files.Follow.
func (k *Keys) Files() *files.Follower { return k.follower }

func (t *table) add(name string, hash [sha256.Size]byte) {
	p := prefixOf(&hash)
	t.byPrefix[p] = append(t.byPrefix[p], key{hash, name})
}

func prefixOf(hash *[sha256.Size]byte) uint64 { return binary.LittleEndian.Uint64(hash[:]) }
