package identity

import (
	"bytes"
	"encoding/hex"

	"tether/http1"
)

// Query shows the query of a request that can have no body: a parameter stands for the field of its name. Its id is what it
// would be in a body, and so is what becomes of it. An alias of a model counts as that, but the query stays as it is.
func (s *Search) Query(query []byte) {
	s.bodiless = true
	if bytes.ContainsAny(query, "%+") {
		s.query = make([]byte, 0, len(query))
	}
	var model candidate
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte{'&'})
		name, value, _ := bytes.Cut(pair, []byte{'='})
		name, value = s.decode(name), http1.Trim(s.decode(value))
		if len(value) == 0 {
			continue
		}
		if string(name) == "model" {
			model.take(value)
		}
		for _, f := range s.id.fields {
			if len(f.path) == 1 && string(name) == f.path[0] {
				s.found[f.source].take(value)
			}
		}
	}
	if model.state == present {
		s.Model = model.value
	}
	s.keep(0, 0, false)
	s.Edit = Edit{} // the query stays as it is
}

// decode gives what a part of a query spells, as servers read forms: + is a space, and broken escapes stay as they are.
// All parts together have room in s.query.
func (s *Search) decode(part []byte) []byte {
	if !bytes.ContainsAny(part, "%+") {
		return part
	}
	from := len(s.query)
	for i := 0; i < len(part); i++ {
		c := part[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(part):
			var decoded [1]byte
			if _, err := hex.Decode(decoded[:], part[i+1:i+3]); err == nil {
				c = decoded[0]
				i += 2
			}
		}
		s.query = append(s.query, c)
	}
	return s.query[from:]
}
