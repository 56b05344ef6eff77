package identity

import (
	"bytes"

	"github.com/google/uuid"

	"tether/http1"
	"tether/jsonscan"
)

// Search looks for the session id of one request: Begin, Header for each field, Body or Query, Identify. What it was shown must
// stay untouched until then; after Identify it holds nothing of that. It may be used again and again.
type Search struct {
	id     *Identifier
	found  [maxSources]candidate
	agents [len(families)]candidate
	scope  [2][]byte
	name   string // of the caller, "" where session.scope tells
	token  []byte // room to decode a token, or for name

	// Model and Previous are the body's model and previous_response_id. An alias is replaced by its model. Of more than 512 bytes
	// the beginning counts.
	Model, Previous []byte
	// Background tells that the server may go on with the request after its answer: background is there, and is neither false nor
	// null, for servers read more than true as true.
	Background bool
	// Unstored tells that the server keeps no response for later: store is false.
	Unstored bool
	// Edit is what replaces an alias in the body; without Text there is nothing to replace.
	Edit Edit
	// IsJSON tells that the body was a JSON object.
	IsJSON bool
	// Ignored counts sources whose value is no valid id, or that came with two different ones.
	Ignored int

	bodiless bool // Query was shown
	json     jsonscan.Scanner
	spelled  []byte // room for an id with escapes
	query    []byte // what Query decoded
	opening  opening
	model    []byte  // room for Model
	previous []byte  // and Previous
	trace    []Found // what Identify is to note, nil on the way of a request
}

const byteOrderMark = "\ufeff"

// maxName bounds the names of models and responses, in bytes.
const maxName = 512

// candidate is what one source gave.
type candidate struct {
	value []byte
	state candidateState
}

type candidateState uint8

const (
	absent candidateState = iota
	present
	ambiguous
)

// Begin forgets the request before.
func (s *Search) Begin(id *Identifier) {
	s.id = id
	s.Model, s.Previous, s.Background, s.Unstored, s.Edit, s.IsJSON, s.Ignored = nil, nil, false, false, Edit{}, false, 0
	clear(s.previous[:cap(s.previous)])
	s.bodiless = false
	s.forget()
}

// Header shows one field of the request's head.
func (s *Search) Header(name, value []byte) {
	var room [maxHeaderName]byte
	n := http1.FoldName(room[:], name)
	if n == nil {
		return
	}
	for i, h := range s.id.scope.headers {
		if string(n) == h && s.scope[i] == nil && s.id.scope.names(value) {
			s.scope[i] = value
		}
	}
	if string(n) == "cookie" && s.id.cookies {
		s.cookie(value)
	}
	if i, ok := s.id.headers[string(n)]; ok {
		s.found[i].take(value)
	}
	for i, a := range s.id.agents {
		if string(n) == a.header {
			s.agents[i].take(value)
		}
	}
}

// SetCaller names the caller, in place of what session.scope finds in the head.
func (s *Search) SetCaller(name string) { s.name = name }

func (s *Search) cookie(list []byte) {
	for len(list) > 0 {
		var pair []byte
		pair, list, _ = bytes.Cut(list, []byte{';'})
		name, value, ok := bytes.Cut(http1.Trim(pair), []byte{'='})
		if !ok {
			continue
		}
		for i, source := range s.id.sources {
			if source.Kind == FromCookie && source.Name == string(name) {
				s.found[i].take(value)
			}
		}
	}
}

// take takes in a value of a header, a cookie or a query: a second, different one makes the source ambiguous.
func (c *candidate) take(value []byte) {
	value = http1.Trim(value)
	switch {
	case c.state == absent:
		*c = candidate{value: value, state: present}
	case !bytes.Equal(c.value, value):
		c.state = ambiguous
	}
}

// Body shows the request's body. shape says whether it may hold a conversation.
func (s *Search) Body(body []byte, shape Shape) {
	var from, to int // of the model
	j := &s.json
	start := 0
	if bytes.HasPrefix(body, []byte(byteOrderMark)) { // vLLM accepts one, though RFC 8259 8.1 forbids to send it
		start = len(byteOrderMark)
	}
	j.Reset(body, start)
	s.IsJSON = j.Object(func(name []byte) {
		switch string(name) {
		case "model":
			from = j.Offset()
			s.Model = spell(&s.model, j)
			to = j.Offset()
		case "previous_response_id":
			s.Previous = spell(&s.previous, j)
		case "background":
			value := string(j.RawValue())
			s.Background = value != "" && value != "false" && value != "null"
		case "store":
			s.Unstored = string(j.RawValue()) == "false"
		default:
			if at := s.id.naming(name, every, 0); at != 0 {
				s.fields(at, 1)
				return
			}
			s.opening.member(shape, name, j)
		}
	})
	j.Clear()
	if s.IsJSON {
		s.keep(from, to, true)
		return
	}
	s.Model, s.Previous, s.Background, s.Unstored = nil, nil, false, false
	s.opening.forget()
	for _, f := range s.id.fields {
		s.found[f.source] = candidate{}
	}
}

// keep copies what is needed of the body for longer than the body is there, and replaces an alias: from and to are where it
// stands in the body, with its quotes if it is quoted.
func (s *Search) keep(from, to int, quoted bool) {
	whole := len(s.Model) <= maxName
	s.model = append(s.model[:0], s.Model[:min(len(s.Model), maxName)]...)
	s.previous = append(s.previous[:0], s.Previous[:min(len(s.Previous), maxName)]...)
	s.Model, s.Previous = s.model, s.previous
	if whole {
		s.unalias(from, to, quoted)
	}
}

// spell takes the string that comes next and gives its text, nil for another value; room is used only where there are
// escapes. No name as long as six times the bound is one.
func spell(room *[]byte, j *jsonscan.Scanner) []byte {
	body, ok := j.RawString()
	if !ok || len(body) > 6*maxName || bytes.IndexByte(body, '\\') < 0 {
		return body
	}
	*room = jsonscan.Unescape((*room)[:0], body)
	return *room
}

// fields takes in the value that comes next, for the fields that lead there by depth names: of equal names the last one
// counts, even when it is null. What strings spell is looked at when it is their turn.
func (s *Search) fields(at fieldSet, depth int) {
	for n, f := range s.id.fields {
		if at&(1<<n) != 0 {
			s.found[f.source] = candidate{}
		}
	}
	if body, isText := s.json.RawString(); isText {
		for n, f := range s.id.fields {
			if at&(1<<n) != 0 && len(f.path) == depth {
				s.found[f.source] = candidate{value: body, state: present}
			}
		}
		return
	}
	s.json.Object(func(name []byte) {
		if deeper := s.id.naming(name, at, depth); deeper != 0 {
			s.fields(deeper, depth+1)
		}
	})
}

// read makes of the string of a body's field the id that it spells. An empty one is none, and none is as long as six
// times the bound: huge strings are not looked at.
func (s *Search) read(c *candidate, source Source) {
	if len(c.value) > 6*maxID {
		return
	}
	if bytes.IndexByte(c.value, '\\') >= 0 {
		s.spelled = jsonscan.Unescape(s.spelled[:0], c.value)
		c.value = s.spelled
	}
	c.value = http1.Trim(c.value)
	if source.Name == "metadata.user_id" {
		c.value = sessionPart(c.value)
	}
	if len(c.value) == 0 {
		c.state = absent
	}
}

// sessionPart is the session named in Claude Code's metadata.user_id: JSON with a session_id, or, in older
// versions, user_..._session_UUID. nil when there is none: the user alone is no conversation.
func sessionPart(userID []byte) (part []byte) {
	jsonscan.Members(userID, func(key, value []byte) {
		if string(key) == "session_id" {
			part, _ = jsonscan.Unquote(value)
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

// Identify gives the id of the first source that has a valid one. Without any it stays empty, unless random is
// set, and the body parsed or a query stands for it: then it makes one.
func (s *Search) Identify(i *Identity, random bool) {
	i.Reset()
	if !s.choose(i) && random && (s.IsJSON || s.bodiless) {
		i.setUUID(uuid.New())
	}
	s.forget()
}

// choose takes the id of the first source that has a valid one.
func (s *Search) choose(i *Identity) (won bool) {
	for n := range s.id.sources {
		f := s.look(n, i)
		if s.trace != nil {
			s.trace[n].Finding = f
		}
		switch f {
		case Won:
			return true
		case Invalid, Ambiguous:
			s.Ignored++
		}
	}
	return false
}

// forget lets go of head and body.
func (s *Search) forget() {
	clear(s.found[:len(s.id.sources)])
	s.agents = [len(families)]candidate{}
	s.scope, s.name = [2][]byte{}, ""
	s.opening.forget()
	for _, room := range [][]byte{s.spelled, s.query, s.token, s.opening.room[:]} {
		clear(room[:cap(room)])
	}
	s.query = nil
	s.trace = nil
}

// look takes the id of the n-th source, if it has a valid one.
func (s *Search) look(n int, i *Identity) Finding {
	source := s.id.sources[n]
	if source.Kind == FromOpening {
		if len(s.Previous) > 0 || !s.derive(i) {
			return Absent
		}
		i.Source, i.Shared = source, true
		return Won
	}
	c := &s.found[n]
	if source.Kind == FromBody && c.state == present && !s.bodiless {
		s.read(c, source)
	}
	switch {
	case c.state == absent:
		return Absent
	case c.state == ambiguous:
		return Ambiguous
	case !Valid(c.value):
		return Invalid
	}
	i.Source = source
	i.Shared = source.Kind == FromBody && source.Name == "prompt_cache_key"
	if source.Kind == FromHeader {
		i.Shared = isDerived(c.value)
		i.set(c.value)
	} else {
		i.setUUID(s.id.digest(c.value))
	}
	s.apart(i, n)
	return Won
}

func (s *Search) derive(i *Identity) bool {
	if !s.opening.hasUser {
		return false
	}
	id, ok := s.opening.id(&s.id.keyer, s.Model, s.caller())
	if ok {
		i.setUUID(id)
	}
	return ok
}

// caller is what names the caller in the head, nil where nobody is named. It may lie in token.
func (s *Search) caller() (caller []byte) {
	if s.name != "" {
		s.token = append(s.token[:0], s.name...)
		return s.token
	}
	for n := range s.id.scope.headers {
		if s.scope[n] != nil {
			caller, s.token = s.id.scope.caller(s.scope[n], s.token)
			break
		}
	}
	return caller
}
