package http1

// Framing follows the body of one answer, split anywhere, and finds where the answer ends. Show changes and copies nothing, so
// the bytes may be relayed as they are.
type Framing struct {
	kind   bodyKind
	left   int64 // bytes of a body with a length that are still to be received
	chunks Chunks
	tail   [4]byte // the last bytes of the payload, newest last
	any    bool    // there was payload

	// OnPayload, if set, is called with the body without its coding, part by part.
	OnPayload func([]byte)
}

type bodyKind uint8

const (
	lengthBody bodyKind = iota
	chunkedBody
	closeBody
)

// NewFraming returns the framing of the answer with head h, to a request other than CONNECT.
func NewFraming(h *Head) Framing {
	switch {
	case h.bodiless():
		return Framing{kind: lengthBody}
	case h.Chunked:
		return Framing{kind: chunkedBody}
	case h.Length >= 0:
		return Framing{kind: lengthBody, left: h.Length}
	}
	return Framing{kind: closeBody}
}

// Done reports whether the answer is complete. It is always false for an answer that ends by close: see UntilClose.
func (f *Framing) Done() bool {
	switch f.kind {
	case lengthBody:
		return f.left == 0
	case chunkedBody:
		return f.chunks.Done()
	}
	return false
}

// UntilClose reports whether the answer ends when the server closes the connection. Only then is the end of the connection the end
// of the answer, and it cannot be told from a cut.
func (f *Framing) UntilClose() bool { return f.kind == closeBody }

// Chunked reports whether the answer has the chunked coding.
func (f *Framing) Chunked() bool { return f.kind == chunkedBody }

// Show reads the next bytes and returns how many of them belong to the answer: fewer than all if the answer ends among them, or
// with an error. The bytes from n on must not be passed on.
func (f *Framing) Show(p []byte) (n int, err error) {
	switch f.kind {
	case lengthBody:
		n = int(min(f.left, int64(len(p))))
		f.left -= int64(n)
		f.payload(p[:n])
		return n, nil
	case closeBody:
		f.payload(p)
		return len(p), nil
	}
	for n < len(p) && !f.chunks.Done() {
		k, data, err := f.chunks.Next(p[n:])
		n += k
		f.payload(data)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Decode is Show for a receiver that does not know the chunked coding: it also moves the payload of p to the front of p and
// returns it.
func (f *Framing) Decode(p []byte) (payload []byte, n int, err error) {
	if f.kind != chunkedBody {
		n, err = f.Show(p)
		return p[:n], n, err
	}
	payload = p[:0]
	for n < len(p) && !f.chunks.Done() {
		k, data, err := f.chunks.Next(p[n:])
		n += k
		f.payload(data)
		payload = append(payload, data...)
		if err != nil {
			return payload, n, err
		}
	}
	return payload, n, nil
}

// BetweenEvents reports whether the bytes so far end where an event of a stream (WHATWG HTML 9.2.6) may follow: at the start of the
// stream or after a blank line, and in the chunked coding between two chunks.
func (f *Framing) BetweenEvents() bool {
	if f.Done() || f.kind == lengthBody || f.kind == chunkedBody && !f.chunks.Between() {
		return false
	}
	t := f.tail
	return !f.any || t[3] == '\n' && (t[2] == '\n' || t == [4]byte{'\r', '\n', '\r', '\n'}) || t[2] == '\r' && t[3] == '\r'
}

func (f *Framing) payload(data []byte) {
	if len(data) == 0 {
		return
	}
	f.any = true
	if f.OnPayload != nil {
		f.OnPayload(data)
	}
	if len(data) >= len(f.tail) {
		copy(f.tail[:], data[len(data)-len(f.tail):])
		return
	}
	copy(f.tail[:], f.tail[len(data):])
	copy(f.tail[len(f.tail)-len(data):], data)
}
