package proxy

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
)

// usage reads the token counts of an answer as the answer passes. They are near its end: in the last object named
// usage, of a JSON body or of the last events of a stream. So usage looks at the end of each part, and holds bytes only while a part ends
// within that object.
type usage struct {
	prompt, cached int // in the last object; each -1 where the object does not say
	// behind is the number of bytes from the name of the last object to the end of the answer so far; 0 without an object.
	behind int
	// open is the end of the answer so far, from the last name on, if its value may be an object that is not whole; at most usageTail bytes.
	open []byte
}

// usageTail is the end of an answer that is searched, in bytes.
const usageTail = 2 << 10

// see is shown the payload of an answer part by part.
func (u *usage) see(p []byte) {
	if u.behind > 0 {
		u.behind += len(p)
	}
	p = lastOf(p)
	if len(u.open) > 0 {
		p = lastOf(append(u.open, p...))
	}
	open := u.find(p)
	if len(open) == 0 {
		u.open = nil
		return
	}
	u.open = append(u.open[:0], open...) // which may lie there already
}

func lastOf(p []byte) []byte { return p[max(0, len(p)-usageTail):] }

// find reads the last object named usage in p, and returns the end of p that may be the beginning of one.
func (u *usage) find(p []byte) (open []byte) {
	if begun := beginningOfKey(p); begun > 0 {
		open = p[len(p)-begun:]
	}
	for before := p; ; {
		i := lastUsageKey(before)
		if i < 0 {
			return open
		}
		before = p[:i]
		value, known := valueOf(p[i:])
		switch object := objectOf(value); {
		case !known:
			open = p[i:]
		case object != nil:
			u.prompt, u.cached = counts(object)
			u.behind = len(p) - i
			return open
		case len(value) > 0 && value[0] == '{':
			u.behind = 0
			return p[i:]
		}
	}
}

// beginningOfKey is the number of bytes at the end of p that usageKey begins with.
func beginningOfKey(p []byte) int {
	if len(p) == 0 || strings.IndexByte(usageKey, p[len(p)-1]) < 0 {
		return 0
	}
	for n := min(len(usageKey)-1, len(p)); n > 0; n-- {
		if string(p[len(p)-n:]) == usageKey[:n] {
			return n
		}
	}
	return 0
}

// valueOf returns p, which begins with usageKey, from its value on; nil if usageKey is no name. It is not known if p ends before the value.
func valueOf(p []byte) (value []byte, known bool) {
	rest := skipSpace(p[len(usageKey):])
	if value, named := bytes.CutPrefix(rest, []byte{':'}); named {
		value = skipSpace(value)
		return value, len(value) > 0
	}
	return nil, len(rest) > 0
}

// objectOf returns the object that p begins with, nil if that is not whole, or if it is no object.
func objectOf(p []byte) []byte {
	if len(p) == 0 || p[0] != '{' {
		return nil
	}
	for i, depth := 0, 0; i < len(p); i++ {
		switch p[i] {
		case '"':
			i += lengthOfText(p[i:]) - 1
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return p[:i+1]
			}
		}
	}
	return nil
}

// lengthOfText is the length of the string that p begins with, quotes included, or that of p if the string is not whole.
func lengthOfText(p []byte) int {
	for end := 1; ; end++ {
		n := bytes.IndexByte(p[end:], '"')
		if n < 0 {
			return len(p)
		}
		end += n
		if text := p[1:end]; (len(text)-len(bytes.TrimRight(text, `\`)))%2 == 0 {
			return end + 1
		}
	}
}

// tokens gives the tokens of the prompt, and how many of them the server had in its prefix cache; -1 where the answer
// does not say.
func (u *usage) tokens() (prompt, cached int) {
	if u.behind == 0 || u.behind > usageTail {
		return -1, -1
	}
	return u.prompt, u.cached
}

// counts reads the counts of tokens of an object named usage.
func counts(object []byte) (prompt, cached int) {
	prompt, cached = number(object, "prompt_tokens"), number(object, "cached_tokens")
	if prompt >= 0 {
		return prompt, cached
	}
	prompt = number(object, "input_tokens")
	if read := number(object, "cache_read_input_tokens"); prompt >= 0 && read >= 0 {
		// Anthropic's input_tokens leave out tokens that the cache held or took in.
		return prompt + read + max(0, number(object, "cache_creation_input_tokens")), read
	}
	return prompt, cached
}

const usageKey = `"usage"`

// lastUsageKey is bytes.LastIndex for usageKey. It looks for the letters ag in eight places at a time, from the end: few words have them.
func lastUsageKey(p []byte) int {
	const ones, letter = 0x0101010101010101, 4 // the place of g in usageKey
	end := len(p) - 2
	for ; end > 8; end -= 8 {
		at := end - 8
		b := p[at-1 : end]
		places := zeroBytes(binary.LittleEndian.Uint64(b[1:]) ^ 'g'*ones | binary.LittleEndian.Uint64(b) ^ 'a'*ones)
		for places != 0 {
			last := bits.Len64(places) - 1
			if i := at + last/8 - letter; i >= 0 && string(p[i:i+len(usageKey)]) == usageKey {
				return i
			}
			places ^= 1 << last
		}
	}
	return bytes.LastIndex(p[:end+2], []byte(usageKey))
}

// zeroBytes has the highest bit set of each byte of x that is zero.
func zeroBytes(x uint64) uint64 {
	const low = 0x7f7f7f7f7f7f7f7f
	return ^((x&low + low) | x | low)
}

// number returns the value of the first member with a name, -1 without one or if its value is no number.
func number(object []byte, name string) int {
	rest, ok := bytes.CutPrefix(skipSpace(afterName(object, name)), []byte{':'})
	if !ok {
		return -1
	}
	n, digits := 0, 0
	for _, c := range skipSpace(rest) {
		if c < '0' || c > '9' || digits == maxDigits {
			break
		}
		n = n*10 + int(c-'0')
		digits++
	}
	if digits == 0 {
		return -1
	}
	return n
}

// afterName returns what follows the first string of an object that is the name, nil without one.
func afterName(object []byte, name string) []byte {
	for at := 0; ; at++ { // a name is seldom where its first letter is not, but each string begins with a quote
		i := bytes.Index(object[at:], []byte(name))
		if i < 0 {
			return nil
		}
		at += i
		if end := at + len(name); at > 0 && object[at-1] == '"' && end < len(object) && object[end] == '"' {
			return object[end+1:]
		}
	}
}

// maxDigits bounds a count of tokens.
const maxDigits = 12

// skipSpace returns p without the white space in front.
func skipSpace(p []byte) []byte {
	for len(p) > 0 && (p[0] == ' ' || p[0] == '\t' || p[0] == '\r' || p[0] == '\n') {
		p = p[1:]
	}
	return p
}
