package identity

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/google/uuid"
	"github.com/zeebo/xxh3"
)

// Key stands for a session wherever tether remembers or shows the session: the id itself outlives no request. The zero
// Key is no session.
type Key struct{ Hi, Lo uint64 }

// IsZero reports whether k is no session.
func (k Key) IsZero() bool { return k == Key{} }

// String returns a 64-bit prefix of the key: enough to find a session again, in logs and in the admin API.
func (k Key) String() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(nil, k.Hi))
}

// Ring returns the part of the key that the ring places.
func (k Key) Ring() uint64 { return k.Hi }

// keyer hashes with one secret. Without a secret the hashes of guessable ids can be guessed too: they are pseudonyms only.
// xxh3 is no cryptographic hash: the secret keeps outsiders from computing keys, but not a client that can choose ids and
// see their hashes.
type keyer struct{ secret [16]byte }

func newKeyer(secret []byte) keyer {
	return keyer{secret: xxh3.Hash128(secret).Bytes()}
}

// Domain separation: the first byte after the secret is the kind of what is hashed, so that no id can pass for another
// kind.
const (
	keyTag      = 'k'
	hashedTag   = 'f'
	openingTag  = 'o'
	callerTag   = 'c'
	storedTag   = 'r'
	subagentTag = 'a'
)

// key returns the key of a session id under a model.
func (k *keyer) key(model, id []byte) Key {
	var buf [maxID + 128]byte
	b := append(append(buf[:0], k.secret[:]...), keyTag)
	b = binary.AppendUvarint(b, uint64(len(model)))
	b = append(append(b, model...), id...)
	h := xxh3.Hash128(b)
	return Key{Hi: h.Hi, Lo: h.Lo}
}

// digest returns the hashed form of an id from a cookie or a body: a UUID of version 8 (RFC 9562).
func (k *keyer) digest(id []byte) uuid.UUID {
	var buf [maxID + 32]byte
	b := append(append(buf[:0], k.secret[:]...), hashedTag)
	return version8(xxh3.Hash128(append(b, id...)))
}

// subagent returns the id of a sub-agent whose family has an id.
func (k *keyer) subagent(family, agent []byte) uuid.UUID {
	var buf [2*maxID + 32]byte
	b := append(append(buf[:0], k.secret[:]...), subagentTag)
	b = binary.AppendUvarint(b, uint64(len(family)))
	return version8(xxh3.Hash128(append(append(b, family...), agent...)))
}

// derivedMark is the last byte of every derived id. It marks a derived id that a client sends back in a header: many
// conversations share that header as well. Other ids may end with it by chance; the only effect on them is the limit of
// requests in flight.
const derivedMark = 0x0d

// derivedFrom returns the derived id of a digest.
func derivedFrom(h xxh3.Uint128) uuid.UUID {
	id := version8(h)
	id[len(id)-1] = derivedMark
	return id
}

// isDerived reports whether the id of a header looks like a derived one.
func isDerived(id []byte) bool {
	const length, version = 36, 14 // of a UUID's text, and the offset of its version
	return len(id) == length && id[version] == '8' && string(id[length-2:]) == "0d"
}

func version8(h xxh3.Uint128) uuid.UUID {
	id := uuid.UUID(h.Bytes())
	id[6] = id[6]&0x0f | 8<<4
	id[8] = id[8]&0x3f | 2<<6
	return id
}
