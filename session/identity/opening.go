package identity

import (
	"bytes"
	"encoding/binary"
	"sync"

	"github.com/zeebo/xxh3"

	"tether/jsonscan"
)

// Shape says where a request body has a conversation.
type Shape uint8

const (
	// Opaque bodies have no conversation that tether can read.
	Opaque Shape = iota
	// Chat bodies have messages. The system text is one of them (OpenAI), or in system (Anthropic).
	Chat
	// Responses bodies have instructions and input.
	Responses
	// Completion bodies have a prompt, as text or as token ids.
	Completion
)

// opening hashes the opening of a conversation: the part that every later turn repeats, and that the server's prefix cache
// begins with. It hashes one body at a time, while the body is scanned.
type opening struct {
	system    xxh3.Uint128               // Anthropic's system, or Responses' instructions
	turns     xxh3.Uint128               // messages or input so far
	levels    [maxUserTurns]xxh3.Uint128 // turns up to each turn of the user
	userTurns int                        // in levels
	said      int                        // bytes of text in them
	size      int                        // bytes of text in the message that is hashed
	answers   int                        // times that the model has answered, in the turns so far
	answering bool                       // the last turn is a part of an answer
	// later is true for a message after the opening. Its escapes count as they are: a client writes its history alike in
	// every turn, and much text comes after the opening.
	later bool
	// onlyCounts is true if no id is derived: turns and their text are counted, and nothing is hashed.
	onlyCounts bool
	// prompt is the text of a prompt without messages, as the body has it; nil for none.
	prompt []byte

	// scratch is there while a part of the request can be hashed, and nil otherwise.
	*scratch
	url []byte // buffer for a decoded URL
}

// scratch is what hashing needs: 3 KB. It is borrowed, because a Search lives as long as its request, and a stream lives long after its
// session was found.
type scratch struct {
	h, one  xxh3.Hasher // one is for a single string
	buf     [512]byte
	markBuf [1]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// borrow makes the scratch of o available. The caller calls giveBack.
func borrow(o *opening) { o.scratch = scratches.Get().(*scratch) }

// giveBack gives the scratch of o back, without what was decoded into it.
func giveBack(o *opening) {
	clear(o.buf[:])
	scratches.Put(o.scratch)
	o.scratch = nil
}

// Marks between the parts: bytes that no UTF-8 text has.
const (
	systemMark = 0xf8
	userMark   = 0xf9
	partMark   = 0xfb
	uuidMark   = 0xfa // in a part
)

// forget prepares o for another conversation.
func (o *opening) forget() {
	o.system, o.prompt, o.size = xxh3.Uint128{}, nil, 0
	o.restart()
}

// restart forgets the turns.
func (o *opening) restart() {
	o.turns, o.userTurns, o.said = xxh3.Uint128{}, 0, 0
	o.answers, o.answering = 0, false
}

// member hashes the next value, of a top-level member of the body. The last one of several members with one name counts.
func (o *opening) member(shape Shape, name []byte, j *jsonscan.Scanner) {
	switch {
	case shape == Chat && string(name) == "messages", shape == Responses && string(name) == "input":
		o.conversation(j)
	case shape == Chat && string(name) == "system", shape == Responses && string(name) == "instructions":
		o.later = false
		o.system = o.content(j)
	case shape == Completion && (string(name) == "prompt" || string(name) == "token_ids"):
		o.prompt = promptOf(j)
	}
}

// conversation hashes the first turns, or a string, which is one turn of the user.
func (o *opening) conversation(j *jsonscan.Scanner) {
	o.restart()
	if body, ok := j.RawString(); ok {
		o.later = false
		o.add(userMark, hashString(o, body))
		return
	}
	j.Array(func() bool {
		o.turn(j)
		return !o.isComplete()
	})
}

// turn hashes a turn, if it belongs to the opening.
func (o *opening) turn(j *jsonscan.Scanner) {
	var mark byte
	var content xxh3.Uint128
	var hasRole, answers bool
	o.later = o.userTurns > 0
	j.Object(func(name []byte) {
		switch string(name) {
		case "role":
			var role []byte
			role, hasRole = j.DecodedString()
			mark, answers = markOf(role), string(role) == "assistant"
		case "type": // of an item of the Responses API without a role
			item, _ := j.DecodedString()
			answers = answers || isAnswer(item)
		case "content":
			if !hasRole || mark != 0 { // otherwise the content does not count
				content = o.content(j)
			}
		}
	})
	if mark == userMark || mark == systemMark && o.userTurns == 0 {
		o.add(mark, content)
	}
	if answers && !o.answering {
		o.answers++
	}
	o.answering = answers
}

// isAnswer reports whether an item of a Responses API's input, by its type, is one that the model made: a call of a tool or a reasoning.
func isAnswer(item []byte) bool {
	return string(item) == "reasoning" || bytes.HasSuffix(item, []byte("_call"))
}

// isSecondTurn reports whether the conversation goes on after its first answer. A turn that ends with the answer does not go on: some
// clients write the beginning of the first answer themselves. After a long opening it is not known.
func isSecondTurn(o *opening) bool { return o.answers == 1 && !o.answering && !o.isComplete() }

// isFirstTurn reports whether the conversation has a turn of the user and no answer.
func isFirstTurn(o *opening) bool { return o.userTurns > 0 && o.answers == 0 && !o.isComplete() }

// continues reports whether the conversation goes on after an answer, as far as it was read.
func continues(o *opening) bool { return o.answers > 1 || o.answers == 1 && !o.answering }

// markOf returns the mark of a role, 0 for a role whose turns do not belong to the opening.
func markOf(role []byte) byte {
	switch string(role) {
	case "user":
		return userMark
	case "system", "developer":
		return systemMark
	}
	return 0
}

func (o *opening) add(mark byte, content xxh3.Uint128) {
	if !o.onlyCounts {
		before, this := o.turns.Bytes(), content.Bytes()
		b := append(append(append(o.buf[:0], before[:]...), mark), this[:]...)
		o.turns = xxh3.Hash128(b)
	}
	if mark == userMark {
		o.levels[o.userTurns] = o.turns
		o.userTurns, o.said = o.userTurns+1, o.said+o.size
	}
}

// content hashes the content of a message: a string, or a list of parts. A text part counts like the string.
func (o *opening) content(j *jsonscan.Scanner) xxh3.Uint128 {
	o.size = 0
	var hash xxh3.Uint128
	if body, isText := j.RawString(); isText {
		o.size = len(body)
		if hash = hashString(o, body); o.later {
			return hash
		}
	} else {
		hash = hashParts(o, j)
	}
	if hash == noText {
		return xxh3.Uint128{} // empty content counts as none
	}
	return hash
}

// hashString hashes a JSON string without its quotes. Most strings are hashed in one call, as they are.
func hashString(o *opening, body []byte) xxh3.Uint128 {
	if o.onlyCounts {
		return xxh3.Uint128{}
	}
	if !o.later {
		if body = withoutBilling(body); ambiguousEscape(body) >= 0 {
			o.h.Reset()
			o.normalized(&o.h, body)
			return o.h.Sum128()
		}
	}
	return xxh3.Hash128(body)
}

// hashParts hashes the parts of a message.
func hashParts(o *opening, j *jsonscan.Scanner) xxh3.Uint128 {
	if !o.onlyCounts {
		o.h.Reset()
	}
	j.Array(func() bool {
		o.part(j)
		return true
	})
	if o.onlyCounts {
		return xxh3.Uint128{}
	}
	return o.h.Sum128()
}

// noText is the hash of no text.
var noText = xxh3.Hash128(nil)

// billing begins a text block that Claude Code puts in front of the system prompt, a different one in each request. vLLM
// leaves it out of the prompt.
const billing = "x-anthropic-billing-header"

// text hashes the text of a JSON string without its quotes, and without a billing line in front.
func (o *opening) text(h *xxh3.Hasher, body []byte) {
	if o.later {
		_, _ = h.Write(body) // a hash never fails
		return
	}
	o.normalized(h, withoutBilling(body))
}

// withoutBilling returns the text of a JSON string without a billing line in front.
func withoutBilling(body []byte) []byte {
	if bytes.HasPrefix(body, []byte(billing)) {
		_, body, _ = bytes.Cut(body, []byte(`\n`))
	}
	return body
}

// ambiguousEscape returns the offset of the first escape in the text of a JSON string that JSON can write in several ways, -1 for none.
func ambiguousEscape(body []byte) int {
	for at := 0; ; at += 2 {
		if at == len(body) || body[at] != '\\' {
			n := bytes.IndexByte(body[at:], '\\')
			if n < 0 {
				return -1
			}
			at += n
		}
		if at+1 >= len(body) {
			return -1
		}
		if c := body[at+1]; c == 'u' || c == '/' {
			return at
		}
	}
}

// normalized hashes the text of a JSON string, so that the way in which a client escapes it does not count: as it is, but
// with those escapes normalized that JSON can write in several ways.
func (o *opening) normalized(h *xxh3.Hasher, body []byte) {
	const maxNormalized = 4 // bytes for one escape
	text := o.buf[:0]
	for {
		at := ambiguousEscape(body)
		if at < 0 {
			break
		}
		if len(text)+at+maxNormalized > cap(text) {
			_, _ = h.Write(text) // a hash never fails
			_, _ = h.Write(body[:at])
			text = text[:0]
		} else {
			text = append(text, body[:at]...)
		}
		var n int
		text, n = jsonscan.NormalizeEscapes(text, body[at:])
		body = body[at+n:]
	}
	_, _ = h.Write(text)
	_, _ = h.Write(body)
}

// hash hashes what a session id is derived from: model, caller, system text, and the turns up to one of the user.
func (o *opening) hash(k *keyer, model, caller []byte, turns xxh3.Uint128) xxh3.Uint128 {
	borrow(o)
	defer giveBack(o)
	o.h.Reset()
	o.write(k.secret[:])
	o.mark(openingTag)
	o.sized(model)
	o.sized(caller)
	for _, part := range [...]xxh3.Uint128{o.system, turns} {
		b := part.Bytes()
		o.write(b[:])
	}
	return o.h.Sum128()
}

// sized hashes b with its length, so that b and what follows it cannot be confused.
func (o *opening) sized(b []byte) {
	o.write(binary.AppendUvarint(o.buf[:0], uint64(len(b))))
	o.write(b)
}

func (o *opening) mark(b byte) {
	o.markBuf[0] = b
	o.write(o.markBuf[:])
}

func (o *opening) write(b []byte) { _, _ = o.h.Write(b) } // a hash never fails
