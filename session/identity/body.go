package identity

import (
	"bytes"
	"strings"

	"tether/http1"
	"tether/jsonscan"
)

// field is a place in a JSON body where a source may have its id.
type field struct {
	source int
	path   []string
}

// fieldsOf returns the fields of the n-th source, FromBody.
func fieldsOf(n int, source Source) []field {
	fields := []field{{source: n, path: strings.Split(source.Name, ".")}}
	if source.Name == "conversation" { // in the Responses API either an id or an object with the id
		fields = append(fields, field{source: n, path: []string{"conversation", "id"}})
	}
	return fields
}

// fieldSet is a set of an Identifier's fields, a bit each.
type fieldSet uint64

const allFields = ^fieldSet(0)

// begunBy returns the fields that a member of the body with this name leads to.
func (id *Identifier) begunBy(name []byte) fieldSet {
	if !id.members.mayHave(name) {
		return 0
	}
	return id.named(name, allFields, 0)
}

// named returns the fields of a set whose path has the name at depth.
func (id *Identifier) named(name []byte, in fieldSet, depth int) (set fieldSet) {
	for n, f := range id.fields {
		if in&(1<<n) != 0 && depth < len(f.path) && f.path[depth] == string(name) {
			set |= 1 << n
		}
	}
	return set
}

const byteOrderMark = "\ufeff"

// Body shows the request's body. shape says where the body may have a conversation.
func (s *Search) Body(body []byte, shape Shape) {
	var modelFrom, modelTo int
	j := &s.json
	start := 0
	if bytes.HasPrefix(body, []byte(byteOrderMark)) { // vLLM accepts one, though RFC 8259 8.1 forbids to send it
		start = len(byteOrderMark)
	}
	j.Reset(body, start)
	if s.opening.onlyCounts = headHasID(s); !s.opening.onlyCounts {
		borrow(&s.opening)
		defer giveBack(&s.opening)
	}
	s.IsJSON = j.Object(func(name []byte) {
		switch string(name) {
		case "model":
			modelFrom = j.Offset()
			s.Model = decodedName(&s.modelBuf, j)
			modelTo = j.Offset()
		case "previous_response_id":
			s.Previous = decodedName(&s.previousBuf, j)
		case "background":
			value := string(j.RawValue())
			s.Background = value != "" && value != "false" && value != "null"
		case "stream":
			s.Streams = string(j.RawValue()) == "true"
		case "store":
			s.Unstored = string(j.RawValue()) == "false"
		case "messages", "system", "input", "instructions": // names of no source, see checkField
			s.opening.member(shape, name, j)
		default:
			if set := s.id.begunBy(name); set != 0 {
				s.fields(set, 1)
				return
			}
			s.opening.member(shape, name, j)
		}
	})
	s.Files = j.Files()
	j.Clear()
	if s.IsJSON {
		s.SecondTurn, s.FirstTurn, s.Continues = isSecondTurn(&s.opening), isFirstTurn(&s.opening), continues(&s.opening)
		s.keepNames(modelFrom, modelTo, true)
		return
	}
	s.Model, s.Previous, s.Background, s.Unstored, s.Streams = nil, nil, false, false, false
	s.opening.forget()
	for _, f := range s.id.fields {
		s.found[f.source] = candidate{}
	}
}

// headHasID reports whether a header or a cookie has a valid id that counts more than the opening.
func headHasID(s *Search) bool {
	for n, source := range s.id.sources {
		switch c := &s.found[n]; source.Kind {
		case FromOpening:
			return false
		case FromHeader, FromCookie:
			if c.state == present && Valid(c.value) {
				return true
			}
		}
	}
	return false
}

// keepNames copies Model and Previous, which outlive the body, and replaces an alias. from and to are the model's place in
// the body; quoted is true if its quotes are part of that place.
func (s *Search) keepNames(from, to int, quoted bool) {
	complete := len(s.Model) <= maxName
	s.modelBuf = append(s.modelBuf[:0], s.Model[:min(len(s.Model), maxName)]...)
	s.previousBuf = append(s.previousBuf[:0], s.Previous[:min(len(s.Previous), maxName)]...)
	s.Model, s.Previous = s.modelBuf, s.previousBuf
	if complete {
		s.replaceAlias(from, to, quoted)
	}
}

// decodedName takes the next value and returns its decoded text if it is a string, nil otherwise. It uses buf only for a
// string with escapes.
func decodedName(buf *[]byte, j *jsonscan.Scanner) []byte {
	body, ok := j.RawString()
	if !ok || len(body) > maxEscape*maxName || bytes.IndexByte(body, '\\') < 0 {
		return body
	}
	*buf = jsonscan.Unescape((*buf)[:0], body)
	return *buf
}

// fields takes the next value, which the first depth names of the paths of set lead to. The last one of several members
// with one name counts, even if it is null. An id is a string or an integer. Escapes are decoded later, when it is the
// source's turn.
func (s *Search) fields(set fieldSet, depth int) {
	for n, f := range s.id.fields {
		if set&(1<<n) != 0 {
			s.found[f.source] = candidate{}
		}
	}
	value, isID := s.json.RawString()
	if !isID {
		value, isID = s.json.Integer()
	}
	if isID {
		for n, f := range s.id.fields {
			if set&(1<<n) != 0 && len(f.path) == depth {
				s.found[f.source] = candidate{value: value, state: present}
			}
		}
		return
	}
	s.json.Object(func(name []byte) {
		if deeper := s.id.named(name, set, depth); deeper != 0 {
			s.fields(deeper, depth+1)
		}
	})
}

// decodeField decodes the string of a body field into an id. An empty string counts as absent. A string that is too long
// for an id is not decoded.
func (s *Search) decodeField(c *candidate, source Source) {
	if len(c.value) > maxEscape*maxID {
		return
	}
	if bytes.IndexByte(c.value, '\\') >= 0 {
		s.idBuf = jsonscan.Unescape(s.idBuf[:0], c.value)
		c.value = s.idBuf
	}
	c.value = http1.Trim(c.value)
	if source.Name == "metadata.user_id" {
		c.value = sessionPart(c.value)
	}
	if c.unfilled = IsPlaceholder(c.value); c.unfilled || len(c.value) == 0 {
		c.state = absent
	}
}

// sessionPart returns the session in Claude Code's metadata.user_id, nil without one: the user alone is no conversation.
// The field is JSON with a session_id, or in older versions user_..._session_UUID.
func sessionPart(userID []byte) (part []byte) {
	jsonscan.Members(userID, func(key, value []byte) {
		if string(key) == "session_id" {
			if part, _ = jsonscan.Unquote(value); jsonscan.IsInteger(value) {
				part = value
			}
		}
	})
	if part != nil {
		return part
	}
	const mark = "_session_"
	if i := bytes.LastIndex(userID, []byte(mark)); i >= 0 && bytes.HasPrefix(userID, []byte("user_")) {
		return userID[i+len(mark):]
	}
	return nil
}
