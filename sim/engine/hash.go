package engine

// Mix adds one word to a running hash. It is the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
func Mix(h, word uint64) uint64 {
	h ^= word
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// Hash adds tokens to a running hash.
func Hash(h uint64, tokens []Token) uint64 {
	for _, t := range tokens {
		h = Mix(h, uint64(t))
	}
	return h
}

// HashString adds a string and its length to a running hash.
func HashString(h uint64, s string) uint64 {
	for i := range len(s) {
		h = Mix(h, uint64(s[i]))
	}
	return Mix(h, uint64(len(s)))
}

// blockChain returns one hash for each full block of tokens. Each hash covers all tokens before its block too, as in vLLM:
// equal hashes mean equal prefixes. The salt keeps models and cache salts apart.
func blockChain(salt uint64, tokens []Token, blockSize int) []uint64 {
	chain := make([]uint64, 0, len(tokens)/blockSize)
	h := salt
	for i := blockSize; i <= len(tokens); i += blockSize {
		h = Hash(h, tokens[i-blockSize:i])
		chain = append(chain, h)
	}
	return chain
}

// words holds the 64 words of all answers, three letters each.
const words = "airallandantarmartaxebarbaybeebigboxboybuscapcarcowcupdaydewdryeareeleggelmendfarfewfigfirflyfor" +
	"foxgasgemhathayheniceinkivyjarjoykeylawmapmaynetnutoakoarowlpearedroeseasettentoewetyewzoosunsky"

// word returns the i-th token of the answer that belongs to a seed. It is a space and three letters, and therefore stays one
// token wherever it stands in the next prompt.
func word(seed uint64, i int) Token {
	at := Mix(seed, uint64(i)) % (uint64(len(words)) / 3) * 3
	return pack(" " + words[at:at+3])
}
