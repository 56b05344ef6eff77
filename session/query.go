package session

import "bytes"

// Query shows the query of a request that can have no body: a parameter stands for the field of its name. Its id is what it
// would be in a body, and so is what becomes of it. An alias of a model counts as that, but the query stays as it is.
func (s *Search) Query(query []byte) {
	s.bodiless = true
	var model candidate
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte{'&'})
		name, value, _ := bytes.Cut(pair, []byte{'='})
		if len(value) == 0 {
			continue
		}
		name = decoded(name, maxQueryName)
		if string(name) == "model" {
			model.take(decoded(value, maxName))
		}
		for _, f := range s.id.fields {
			if len(f.path) == 1 && string(name) == f.path[0] {
				s.found[f.source].take(decoded(value, maxID))
			}
		}
	}
	if model.state == present {
		s.Model = model.value
	}
	s.keep()
	s.model = append(s.model[:0], s.id.Model(string(s.Model))...)
	s.Model = s.model
}

// maxQueryName bounds the names of parameters that are looked at.
const maxQueryName = 1024

// decoded is what a part of a query spells, as servers read forms: + is a space, and broken escapes stay as they are. What
// must be longer than max, however it is spelled, stays as it is.
func decoded(part []byte, max int) []byte {
	if len(part) > 3*max || !bytes.ContainsAny(part, "%+") {
		return part
	}
	text := make([]byte, 0, len(part))
	for i := 0; i < len(part); i++ {
		c := part[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(part):
			if high, low := hexDigit(part[i+1]), hexDigit(part[i+2]); high >= 0 && low >= 0 {
				c = byte(high<<4 | low)
				i += 2
			}
		}
		text = append(text, c)
	}
	return text
}

// hexDigit is the value of a hexadecimal digit, -1 for another byte.
func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
