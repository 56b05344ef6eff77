package identity

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/google/uuid"
	"github.com/zeebo/xxh3"
)

// Key stands for a session wherever tether remembers or shows it: the id itself outlives no request. The zero Key
// is no session.
type Key struct{ Hi, Lo uint64 }

// IsZero reports whether k is no session.
func (k Key) IsZero() bool { return k == Key{} }

// String is a 64-bit prefix of the key: enough to find a session again, in logs and in the admin API.
func (k Key) String() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(nil, k.Hi))
}

// Ring is the part of the key that the ring places.
func (k Key) Ring() uint64 { return k.Hi }

// keyer hashes under one secret. Without a secret the hashes of guessable ids can be guessed as well: they are
// pseudonyms then, no more. xxh3 is no cryptographic hash: the secret keeps outsiders from computing keys, not
// somebody who can choose ids and watch their hashes.
type keyer struct{ secret [16]byte }

func newKeyer(secret []byte) keyer {
	return keyer{secret: xxh3.Hash128(secret).Bytes()}
}

// What is hashed says first what it is, so that no id can pass for another kind.
const (
	keyTag     = 'k'
	foreignTag = 'f'
	openingTag = 'o'
	callerTag  = 'c'
	storedTag  = 'r'
	agentTag   = 'a'
)

// key is the pin key of a session id under a model.
func (k *keyer) key(model, id []byte) Key {
	var room [maxID + 128]byte
	b := append(append(room[:0], k.secret[:]...), keyTag)
	b = binary.AppendUvarint(b, uint64(len(model)))
	b = append(append(b, model...), id...)
	h := xxh3.Hash128(b)
	return Key{Hi: h.Hi, Lo: h.Lo}
}

// digest is the name under which an id from a cookie or a body goes from then on: a UUID of version 8 (RFC 9562).
func (k *keyer) digest(id []byte) uuid.UUID {
	var room [maxID + 32]byte
	b := append(append(room[:0], k.secret[:]...), foreignTag)
	return version8(xxh3.Hash128(append(b, id...)))
}

// subagent is the id of a sub-agent beside its family's.
func (k *keyer) subagent(family, agent []byte) uuid.UUID {
	var room [2*maxID + 32]byte
	b := append(append(room[:0], k.secret[:]...), agentTag)
	b = binary.AppendUvarint(b, uint64(len(family)))
	return version8(xxh3.Hash128(append(append(b, family...), agent...)))
}

// derivedMark is the last byte of every derived id, so that one is known when a client sends it back: what many
// conversations share they share in a header as well. An id of another origin may end so too; all that befalls it is the
// bound on requests in flight.
const derivedMark = 0x0d

// derivedFrom is the derived id of a digest.
func derivedFrom(h xxh3.Uint128) uuid.UUID {
	id := version8(h)
	id[len(id)-1] = derivedMark
	return id
}

// isDerived reports whether an id that came in a header looks like one that was derived.
func isDerived(id []byte) bool {
	const length, version = 36, 14 // of a UUID's text, and where its version stands
	return len(id) == length && id[version] == '8' && string(id[length-2:]) == "0d"
}

func version8(h xxh3.Uint128) uuid.UUID {
	id := uuid.UUID(h.Bytes())
	id[6] = id[6]&0x0f | 8<<4
	id[8] = id[8]&0x3f | 2<<6
	return id
}
