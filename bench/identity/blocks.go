package main

import "github.com/zeebo/xxh3"

// The prefix cache is like vLLM's: it has full blocks of 16 tokens, each identified by the block and all text before it. A
// token is four bytes. The cache forgets nothing, so that it tells the most that a server could have cached.
const (
	blockTokens = 16
	tokenBytes  = 4
)

// blocks are the blocks that a server has seen.
type blocks map[uint64]bool

// count returns the number of tokens of a prompt.
func count(prompt string) int { return (len(prompt) + tokenBytes - 1) / tokenBytes }

// chainOf returns a hash for each full block of a prompt, over the block and all text before it.
func chainOf(prompt string) (chain []uint64) {
	const size = blockTokens * tokenBytes
	var h uint64
	for ; len(prompt) >= size; prompt = prompt[size:] {
		h = xxh3.HashStringSeed(prompt[:size], h)
		chain = append(chain, h)
	}
	return chain
}

// match returns the number of leading blocks of the chain that the server has seen.
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
