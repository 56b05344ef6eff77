package identity

import "github.com/zeebo/xxh3"

// Caller identifies who sent a request, as far as session.scope distinguishes callers. It is a hash, so that no credential
// outlives its request.
type Caller struct{ hash [16]byte }

// Caller returns who sent the request whose head was shown. It must be called before Identify.
func (s *Search) Caller() (c Caller) {
	o := &s.opening
	borrow(o)
	defer giveBack(o)
	o.h.Reset()
	o.write(s.id.secret[:])
	o.mark(callerTag)
	o.write(s.callerName())
	return Caller{o.h.Sum128().Bytes()}
}

// Response returns the key of a stored response for one caller. What tether learns from one caller's response serves this
// caller only.
func (id *Identifier) Response(of Caller, response []byte) Key {
	var buf [maxName + 64]byte
	b := append(append(append(buf[:0], id.secret[:]...), storedTag), of.hash[:]...)
	h := xxh3.Hash128(append(b, response...))
	return Key{Hi: h.Hi, Lo: h.Lo}
}
