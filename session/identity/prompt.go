package identity

import (
	"bytes"
	"math/bits"
	"time"

	"github.com/zeebo/xxh3"

	"tether/jsonscan"
	"tether/session/openings"
)

// promptOf takes the prompt of a completion and returns it as the body has it: a text without its quotes, or token ids
// without their brackets. A list of one text is that text. A list of several prompts is no conversation.
func promptOf(j *jsonscan.Scanner) []byte {
	if body, isText := j.RawString(); isText {
		return body
	}
	start, texts := j.Offset(), 0
	var text []byte
	j.Array(func() bool {
		body, isText := j.RawString()
		if isText {
			text = body
			texts++
		}
		return isText && texts == 1
	})
	if texts > 0 {
		if texts > 1 {
			return nil
		}
		return text
	}
	list := j.Since(start)
	if len(list) < minPrompt {
		return nil
	}
	ids := bytes.TrimLeft(list[1:len(list)-1], " \t\r\n")
	if len(ids) == 0 || ids[0] < '0' || ids[0] > '9' {
		return nil
	}
	return ids
}

const (
	// promptMark stands where other conversations have the first half of a hash.
	promptMark = 'p'
	// minPrompt is the length of the shortest prompt that has an opening, in bytes. A server caches no shorter one.
	minPrompt = 16
	// maxPromptOpening is the length of the longest opening of a prompt, in bytes.
	maxPromptOpening = 256
)

// nextStep returns the step after the step at n. A prompt is hashed in whole steps, of which there are 8 to each doubling of
// its length. So earlier prompts are found in a longer one with few looks.
func nextStep(n int) int { return n + max(minPrompt, 1<<bits.Len(uint(n))>>4) }

// maxSteps is the number of steps within the largest body.
const maxSteps = 200

// chain is the hash of a prompt up to a place.
type chain struct {
	at   int
	hash uint64
}

// next appends the prompt from c up to a place.
func (c chain) next(prompt []byte, to int) chain {
	return chain{to, xxh3.HashSeed(prompt[c.at:to], c.hash)}
}

// promptHashes are the hashes of a prompt.
type promptHashes struct {
	opening uint64 // up to the largest power of two within the prompt and maxPromptOpening
	step    chain  // up to the last whole step
	known   [maxSteps]chain
	n       int // of known: the steps after which an earlier prompt ended, before the next step
}

// Places of prompts are remembered by their hashes. Salts make a step, or a small step, after which a prompt ended another
// place than the end of a prompt.
const (
	stepSalt  = 0x94d049bb133111eb
	smallSalt = 0xbf58476d1ce4e5b9
)

// hash hashes a prompt. seed belongs to model and caller.
func (h *promptHashes) hash(prompt []byte, seed uint64, known *openings.Table) {
	h.step.hash = seed
	for next := nextStep(0); next <= len(prompt); next = nextStep(next) {
		h.step = h.step.next(prompt, next)
		if next <= maxPromptOpening && next&(next-1) == 0 {
			h.opening = h.step.hash
		}
		if known != nil && h.n < maxSteps && known.Root(h.step.hash^stepSalt) != 0 {
			h.known[h.n] = h.step
			h.n++
		}
	}
}

// small calls visit with the small steps from one step up to the next, or to the end of the prompt, each with the length
// of the text that follows it. It returns the last one.
func (c chain) small(prompt []byte, visit func(c chain, n int)) chain {
	next := nextStep(c.at)
	size := min(max(minPrompt, (next-c.at)/512), maxPromptOpening)
	for end := min(next, len(prompt)); ; c = c.next(prompt, c.at+size) {
		n := min(size, end-c.at)
		visit(c, n)
		if n < size {
			return c
		}
	}
}

// find looks for the longest earlier prompt that this one begins with. It returns its root, 0 for none, and its hash.
func (h *promptHashes) find(prompt []byte, known *openings.Table) (root, hash uint64) {
	for ; h.n > 0 && root == 0; h.n-- {
		h.known[h.n-1].small(prompt, func(c chain, n int) {
			if known.Root(c.hash^smallSalt) == 0 {
				return
			}
			for ; n >= 0; n-- {
				end := c.next(prompt, c.at+n).hash
				if r := known.Root(end); r != 0 {
					root, hash = r, end
					return
				}
			}
		})
	}
	return root, hash
}

// promptRoot returns what the id of a prompt is derived from, and whether it is more than the opening of the prompt: what
// stands for the conversation that the prompt continues, or else the opening, or the whole prompt if many different
// prompts open alike. A prompt that many different ones begin with is no conversation that they continue.
func promptRoot(prompt []byte, seed uint64, known *openings.Table, now time.Time, learn bool) (root uint64, wide bool) {
	const isWide = 1 // the lowest bit of a root
	var h promptHashes
	h.hash(prompt, seed, known)
	narrow := h.opening &^ isWide
	if known == nil {
		return narrow, false
	}
	last := h.step.small(prompt, func(chain, int) {})
	whole := last.next(prompt, len(prompt)).hash
	root, earlier := h.find(prompt, known)
	if root == 0 || earlier != whole && known.Tell(earlier, whole, now, learn) {
		if root = narrow; known.Tell(h.opening, whole, now, learn) {
			root = whole | isWide
		}
	}
	if learn {
		known.SetRoot(h.step.hash^stepSalt, 1, now)
		known.SetRoot(last.hash^smallSalt, 1, now)
		known.SetRoot(whole, root, now)
	}
	return root, root&isWide != 0
}
