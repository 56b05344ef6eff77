package main

import "github.com/zeebo/xxh3"

// A prefix cache as vLLM's: full blocks of 16 tokens, each known by all that stands before it. A token is four bytes. It
// forgets nothing: what it says that a server could have kept is the most that one could.
const (
	blockTokens = 16
	tokenBytes  = 4
)

// blocks are those that a server has seen.
type blocks map[uint64]bool

// count is the number of tokens of a prompt.
func count(prompt string) int { return (len(prompt) + tokenBytes - 1) / tokenBytes }

// chainOf gives a hash for each full block of a prompt, over the block and all before it.
func chainOf(prompt string) (chain []uint64) {
	const size = blockTokens * tokenBytes
	var h uint64
	for ; len(prompt) >= size; prompt = prompt[size:] {
		h = xxh3.HashStringSeed(prompt[:size], h)
		chain = append(chain, h)
	}
	return chain
}

// match is the number of leading blocks of the chain that were seen.
func (b blocks) match(chain []uint64) int {
	for n, h := range chain {
		if !b[h] {
			return n
		}
	}
	return len(chain)
}

func (b blocks) add(chain []uint64) {
	for _, h := range chain {
		b[h] = true
	}
}
