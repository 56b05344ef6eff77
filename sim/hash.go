package sim

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014) over a running value and one more word.
func mix(h, word uint64) uint64 {
	h ^= word
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func hashTokens(h uint64, tokens []token) uint64 {
	for _, t := range tokens {
		h = mix(h, uint64(t))
	}
	return h
}

func hashString(h uint64, s string) uint64 {
	for i := range len(s) {
		h = mix(h, uint64(s[i]))
	}
	return mix(h, uint64(len(s)))
}

// blockChain gives one hash for each full block of tokens. Each covers all tokens before it, as in vLLM: equal hashes mean
// equal prefixes. The seed keeps models and cache salts apart.
func blockChain(seed uint64, tokens []token, blockSize int) []uint64 {
	chain := make([]uint64, 0, len(tokens)/blockSize)
	h := seed
	for i := blockSize; i <= len(tokens); i += blockSize {
		h = hashTokens(h, tokens[i-blockSize:i])
		chain = append(chain, h)
	}
	return chain
}

// words holds the 64 words of all answers, three letters each.
const words = "airallandantarmartaxebarbaybeebigboxboybuscapcarcowcupdaydewdryeareeleggelmendfarfewfigfirflyfor" +
	"foxgasgemhathayheniceinkivyjarjoykeylawmapmaynetnutoakoarowlpearedroeseasettentoewetyewzoosunsky"

// word is the i-th token of the answer that a seed stands for: a space and three letters, so that it is one token of its
// own wherever it stands in the next prompt.
func word(seed uint64, i int) token {
	at := mix(seed, uint64(i)) % (uint64(len(words)) / 3) * 3
	return pack(" " + words[at:at+3])
}
