// Package auth knows the API keys of clients: their names and hashes, from a file that is read again when it changes.
// Neither a key nor a hash leaves it, not even in an error. What a request's key is looked for in, and what a
// stranger is answered, is proxy's business.
//
// Goroutines: none of its own; Keys.Run is started and awaited by the caller.
package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"sync/atomic"

	"tether/files"
)

// Keys are the API keys in force. Its methods may be called from any goroutine.
type Keys struct {
	file    string
	inForce atomic.Pointer[keys]
	changes files.Changes // Run's alone
}

// keys are those of one content of the file. It is immutable.
type keys struct {
	names    []string
	byPrefix map[uint64][]key
}

// key is a key's hash, and whose it is.
type key struct {
	hash [sha256.Size]byte
	name string
}

// Name gives the name of an API key, and reports whether it is one.
//
// How long it takes tells nothing of the keys. What is looked for is the hash of what was presented; the map compares
// eight bytes of it at a time, so that nobody gets nearer to a hash byte by byte, and the rest is compared in constant
// time. Even a whole hash would be no key.
func (k *Keys) Name(presented []byte) (name string, ok bool) {
	hash := sha256.Sum256(presented)
	for _, one := range k.inForce.Load().byPrefix[prefixOf(&hash)] {
		if subtle.ConstantTimeCompare(one.hash[:], hash[:]) == 1 {
			name, ok = one.name, true
		}
	}
	return name, ok
}

// Names are those of all keys in force.
func (k *Keys) Names() []string { return k.inForce.Load().names }

func (k *keys) add(name string, hash [sha256.Size]byte) {
	p := prefixOf(&hash)
	k.byPrefix[p] = append(k.byPrefix[p], key{hash, name})
}

func prefixOf(hash *[sha256.Size]byte) uint64 { return binary.LittleEndian.Uint64(hash[:]) }
