package identity

import (
	"bytes"
	"encoding/hex"

	"tether/http1"
)

// Query shows the query of a request that cannot have a body. A parameter takes the place of the body field of its name,
// and its id has the same form. The alias of a model counts as the model, but the query itself stays as it is.
//
// It does not use net/url, which copies all parameters and refuses queries that servers accept.
func (s *Search) Query(query []byte) {
	s.hasQuery = true
	if bytes.ContainsAny(query, "%+") {
		s.queryBuf = make([]byte, 0, len(query)) // enough for all parts together
	}
	decoded := func(part []byte) []byte {
		if !bytes.ContainsAny(part, "%+") {
			return part
		}
		from := len(s.queryBuf)
		s.queryBuf = appendDecoded(s.queryBuf, part)
		return s.queryBuf[from:]
	}
	var model candidate
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte{'&'})
		name, value, _ := bytes.Cut(pair, []byte{'='})
		name, value = decoded(name), http1.Trim(decoded(value))
		if len(value) == 0 {
			continue
		}
		if string(name) == "model" {
			model.add(value)
		}
		for _, f := range s.id.fields {
			if len(f.path) == 1 && string(name) == f.path[0] {
				s.found[f.source].add(value)
			}
		}
	}
	if model.state == present {
		s.Model = model.value
	}
	s.keepNames(0, 0, false)
	s.Edit = Edit{} // the query stays as it is
}

// appendDecoded appends the decoded form of a part of a query, as servers decode forms: + is a space, and broken escapes
// stay as they are.
func appendDecoded(dst, part []byte) []byte {
	for i := 0; i < len(part); i++ {
		c := part[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(part):
			var b [1]byte
			if _, err := hex.Decode(b[:], part[i+1:i+3]); err == nil {
				c = b[0]
				i += 2
			}
		}
		dst = append(dst, c)
	}
	return dst
}
