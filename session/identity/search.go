package identity

import (
	"bytes"
	"time"

	"github.com/google/uuid"
	"github.com/zeebo/xxh3"

	"tether/http1"
	"tether/jsonscan"
	"tether/session/openings"
)

// Search looks for the session id of one request: Begin, Header for each field of the head, Body, Form or Query, then
// Identify. The bytes that it is shown must not change before Identify, which drops all of them. A Search can be used for
// one request after another.
type Search struct {
	id      *Identifier
	found   [maxSources]candidate    // by source
	agents  [len(families)]candidate // by family: the name of the sub-agent
	scopes  [2][]byte                // by scope.headers: the value that identifies the caller
	account string                   // the caller's name, "" if session.scope decides

	// Model and Previous are the body's model and previous_response_id, cut to 512 bytes. The model replaces its alias.
	Model, Previous []byte
	// Background is true if the server may go on with the request after its answer: background is present, and neither
	// false nor null. Servers take other values than true for true.
	Background bool
	// Unstored is true if the server keeps no response for later: store is false.
	Unstored bool
	// Streams is true if the client asks for an answer that streams: stream is true.
	Streams bool
	// Edit replaces an alias in the body. Text is empty if there is nothing to replace.
	Edit Edit
	// SecondTurn is true if the body has a conversation that goes on after its first answer.
	SecondTurn bool
	// FirstTurn is true if the body has a conversation without an answer. After a long opening it is not known, and false.
	FirstTurn bool
	// Continues is true if the body has a conversation that goes on after an answer. It is false after a long opening, and while many
	// turns of the user come before the first answer.
	Continues bool
	// IsJSON is true if the body is a JSON object.
	IsJSON bool
	// Files are the pictures and recordings in the body. Of a form they are one, the whole form.
	Files jsonscan.Files
	// Ignored counts the sources with an invalid id or with two different ones.
	Ignored int
	// Unfilled has the kinds of places where the client left a placeholder in place of an id. Such an id counts as absent.
	Unfilled KindSet

	hasQuery bool // a query takes the place of the body
	json     jsonscan.Scanner
	opening  opening
	known    *openings.Table // for the opening
	now      time.Time
	trace    []Found // what Identify records for Trace, nil without one

	// Buffers, kept from request to request.
	idBuf       []byte // an id whose escapes are decoded
	queryBuf    []byte // parts of a query, decoded
	callerBuf   []byte // a decoded token, or account
	modelBuf    []byte // Model
	previousBuf []byte // Previous
}

// maxName is the greatest length of the name of a model or a response, in bytes.
const maxName = 512

// maxEscape is the length of the longest escape of one byte in a JSON string: \u0041. A string that is longer than
// maxEscape times a limit exceeds the limit, however it is escaped, and is not decoded.
const maxEscape = 6

// candidate is what one source has.
type candidate struct {
	value    []byte
	state    candidateState
	unfilled bool // there was a placeholder, which counts as absent
}

type candidateState uint8

const (
	absent candidateState = iota
	present
	ambiguous // two different values
)

// add adds a value of a header, a cookie or a query parameter.
func (c *candidate) add(value []byte) {
	value = http1.Trim(value)
	switch {
	case IsPlaceholder(value):
		c.unfilled = true
	case c.state == absent:
		c.value, c.state = value, present
	case !bytes.Equal(c.value, value):
		c.state = ambiguous
	}
}

// Begin starts the search in another request.
func (s *Search) Begin(id *Identifier) {
	s.id = id
	s.Files = jsonscan.Files{}
	s.Model, s.Previous, s.Background, s.Unstored, s.Streams, s.Edit = nil, nil, false, false, false, Edit{}
	s.SecondTurn, s.FirstTurn, s.Continues, s.IsJSON = false, false, false, false
	s.Ignored, s.Unfilled = 0, 0
	erase(s.previousBuf)
	s.hasQuery = false
	s.forget()
}

// Header shows one field of the request's head.
func (s *Search) Header(name, value []byte) {
	if !s.id.names.mayHave(name) {
		return
	}
	var buf [maxHeaderName]byte
	n := http1.FoldName(buf[:], name)
	for i, h := range s.id.scope.headers {
		if string(n) == h && s.scopes[i] == nil && s.id.scope.identifies(value) {
			s.scopes[i] = value
		}
	}
	if string(n) == "cookie" && s.id.cookies {
		s.cookies(value)
	}
	if i := s.id.sourceOf(n); i >= 0 {
		s.found[i].add(value)
	}
	for i, a := range s.id.agents {
		if string(n) == a.header {
			s.agents[i].add(value)
		}
	}
}

// SetCaller names the caller, in place of what session.scope finds in the head.
func (s *Search) SetCaller(name string) { s.account = name }

// cookies reads the value of a Cookie field.
func (s *Search) cookies(list []byte) {
	for len(list) > 0 {
		var pair []byte
		pair, list, _ = bytes.Cut(list, []byte{';'})
		name, value, ok := bytes.Cut(http1.Trim(pair), []byte{'='})
		if !ok {
			continue
		}
		for i, source := range s.id.sources {
			if source.Kind == FromCookie && source.Name == string(name) {
				s.found[i].add(value)
			}
		}
	}
}

// Identify sets i to the id of the first source that has a valid one. Without one i is empty, unless random is true and
// the request has a JSON body or a query: then the id is drawn at random. known is what the openings of other requests
// taught by now, and learns from this one, unless Trace was called; nil knows nothing.
func (s *Search) Identify(i *Identity, random bool, known *openings.Table, now time.Time) {
	i.Reset()
	s.known, s.now = known, now
	if !s.choose(i) && random && (s.IsJSON || s.hasQuery) {
		i.setUUID(uuid.New())
	}
	s.forget()
}

// choose takes the id of the first source that has a valid one, and reports whether there is one.
func (s *Search) choose(i *Identity) bool {
	for n := range s.id.sources {
		f := s.evaluate(n, i)
		if s.trace != nil {
			s.trace[n].Finding = f
		}
		switch f {
		case won:
			return true
		case invalidID, twoIDs:
			s.Ignored++
		case unfilled:
			s.Unfilled |= 1 << s.id.sources[n].Kind
		}
	}
	return false
}

// evaluate takes the id of the n-th source, if the source has a valid one.
func (s *Search) evaluate(n int, i *Identity) Finding {
	source := s.id.sources[n]
	if source.Kind == FromOpening {
		if len(s.Previous) > 0 || !s.derive(i) {
			return noID
		}
		i.Source, i.Shared = source, true
		return won
	}
	c := &s.found[n]
	if source.Kind == FromBody && c.state == present && !s.hasQuery {
		s.decodeField(c, source)
	}
	switch {
	case c.state == absent && c.unfilled:
		return unfilled
	case c.state == absent:
		return noID
	case c.state == ambiguous:
		return twoIDs
	case !Valid(c.value):
		return invalidID
	}
	i.Source = source
	i.Shared = source.Kind == FromBody && source.Name == "prompt_cache_key"
	if source.Kind == FromHeader {
		i.Shared = isDerived(c.value)
		i.set(c.value)
	} else {
		i.setUUID(s.id.digest(c.value))
	}
	s.subagent(i, n)
	return won
}

// derive sets i to the id that the conversation's opening gives.
func (s *Search) derive(i *Identity) bool {
	o, learn := &s.opening, s.trace == nil
	isPrompt := s.id.completions && len(o.prompt) >= minPrompt
	if !isPrompt && o.userTurns == 0 {
		return false
	}
	caller := s.callerName()
	hash := func(turns xxh3.Uint128) xxh3.Uint128 { return o.hash(&s.id.keyer, s.Model, caller, turns) }
	turns := o.levels[0]
	switch {
	case isPrompt:
		turns = xxh3.Uint128{Hi: promptMark}
		turns.Lo, i.Wide = promptRoot(o.prompt, hash(turns).Lo, s.known, s.now, learn)
	case o.userTurns > 1 && s.known != nil:
		more := o.widest(hash(turns).Lo, s.known, s.now, learn)
		turns, i.Wide = o.levels[more], more > 0
	}
	i.setUUID(derivedFrom(hash(turns)))
	return true
}

// callerName returns what identifies the caller, nil if nothing does. It may lie in callerBuf.
func (s *Search) callerName() (name []byte) {
	if s.account != "" {
		s.callerBuf = append(s.callerBuf[:0], s.account...)
		return s.callerBuf
	}
	for n := range s.id.scope.headers {
		if s.scopes[n] != nil {
			name, s.callerBuf = s.id.scope.caller(s.scopes[n], s.callerBuf)
			break
		}
	}
	return name
}

// forget drops head and body, and erases what was decoded from them.
func (s *Search) forget() {
	clear(s.found[:len(s.id.sources)])
	s.agents = [len(families)]candidate{}
	s.scopes, s.account = [2][]byte{}, ""
	s.opening.forget()
	erase(s.idBuf)
	erase(s.queryBuf)
	erase(s.callerBuf)
	erase(s.opening.url)
	s.queryBuf = nil
	s.trace, s.known = nil, nil
}

// erase clears all that a buffer may hold.
func erase(buf []byte) {
	if cap(buf) > 0 {
		clear(buf[:cap(buf)])
	}
}
