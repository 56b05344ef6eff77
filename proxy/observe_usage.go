package proxy

import "bytes"

// usage reads the token counts of an answer as the answer passes. They are near its end: in the last object named
// usage, of a JSON body or of the last events of a stream. So usage keeps that end alone: each stream holds it.
type usage struct {
	tail [usageTail]byte // the end of the answer, the byte at n%usageTail being the oldest
	n    int             // bytes put into tail so far
}

// usageTail is how much of an answer's end is kept, in bytes.
const usageTail = 2 << 10

// see is shown the payload of an answer part by part.
func (u *usage) see(p []byte) {
	p = p[max(0, len(p)-usageTail):]
	k := copy(u.tail[u.n%usageTail:], p)
	copy(u.tail[:], p[k:])
	u.n += len(p)
}

// end returns the end of the answer. buf is for an end that is in two parts.
func (u *usage) end(buf *[usageTail]byte) []byte {
	if u.n <= usageTail {
		return u.tail[:u.n]
	}
	k := copy(buf[:], u.tail[u.n%usageTail:])
	copy(buf[k:], u.tail[:])
	return buf[:]
}

// tokens gives the tokens of the prompt, and how many of them the server had in its prefix cache; -1 where the answer
// does not say.
func (u *usage) tokens() (prompt, cached int) {
	var buf [usageTail]byte
	object := lastUsage(u.end(&buf))
	prompt, cached = number(object, `"prompt_tokens"`), number(object, `"cached_tokens"`)
	if prompt >= 0 {
		return prompt, cached
	}
	prompt = number(object, `"input_tokens"`)
	if read := number(object, `"cache_read_input_tokens"`); prompt >= 0 && read >= 0 {
		// Anthropic's input_tokens leave out tokens that the cache held or took in.
		return prompt + read + max(0, number(object, `"cache_creation_input_tokens"`)), read
	}
	return prompt, cached
}

// lastUsage returns p from the opening brace of the last object named usage on. Text that a model wrote cannot be taken for it: its quotes are escaped.
func lastUsage(p []byte) []byte {
	for {
		i := lastUsageKey(p)
		if i < 0 {
			return nil
		}
		if rest, ok := bytes.CutPrefix(skipSpace(p[i+len(usageKey):]), []byte{':'}); ok {
			if rest = skipSpace(rest); len(rest) > 0 && rest[0] == '{' {
				return rest
			}
		}
		p = p[:i]
	}
}

const usageKey = `"usage"`

// lastUsageKey is bytes.LastIndex for usageKey. It looks at one byte in four of an answer (Boyer, Moore and Horspool), from the end, and
// takes a third of the time (BenchmarkUsage).
func lastUsageKey(p []byte) int {
	for i := len(p) - len(usageKey); i >= 0; i -= usageSteps[p[i]] {
		if p[i] == usageKey[0] && string(p[i:i+len(usageKey)]) == usageKey {
			return i
		}
	}
	return -1
}

// usageSteps has, for each byte, how far before that byte usageKey can begin, at the nearest, if it does not begin there.
var usageSteps = func() (steps [256]int) {
	for c := range steps {
		steps[c] = len(usageKey)
	}
	for n := len(usageKey) - 1; n > 0; n-- {
		steps[usageKey[n]] = n
	}
	return steps
}()

// number returns the value of a key, -1 without the key or if its value is no number.
func number(object []byte, key string) int {
	_, rest, ok := bytes.Cut(object, []byte(key))
	if !ok {
		return -1
	}
	if rest, ok = bytes.CutPrefix(skipSpace(rest), []byte{':'}); !ok {
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

// maxDigits bounds a count of tokens.
const maxDigits = 12

func skipSpace(p []byte) []byte { return bytes.TrimLeft(p, " \t\r\n") }
