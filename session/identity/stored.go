package identity

import "github.com/zeebo/xxh3"

// Caller stands for who sent a request, as far as session.scope keeps callers apart: a hash, so that no credential
// outlives its request.
type Caller struct{ hash [16]byte }

// Caller is who sent the request whose head was shown. It is to be asked before Identify.
func (s *Search) Caller() (c Caller) {
	o := &s.opening
	o.h.Reset()
	o.write(s.id.secret[:])
	o.mark(callerTag)
	o.write(s.caller())
	return Caller{o.h.Sum128().Bytes()}
}

// Response is the key of a stored response for one caller: what was learned of one serves only the caller that it was
// learned from.
func (id *Identifier) Response(of Caller, response []byte) Key {
	var room [maxName + 64]byte
	b := append(append(append(room[:0], id.secret[:]...), storedTag), of.hash[:]...)
	h := xxh3.Hash128(append(b, response...))
	return Key{Hi: h.Hi, Lo: h.Lo}
}
