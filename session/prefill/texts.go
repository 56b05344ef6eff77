package prefill

// texts averages how many bytes make a token. Long prompts count for more: they are most of the work.
type texts struct{ bytes, tokens, prompts float64 }

// newTexts begins with one prompt of the usual ratio, so that a single short prompt, which is mostly the JSON around it, says little.
func newTexts() texts { return texts{bytes: 1_000 * unknownBytesPerToken, tokens: 1_000, prompts: 1} }

// Ratios outside of these bounds come from a body that is not the whole prompt, or from a server that reports nonsense.
const (
	minBytesPerToken = 0.25
	maxBytesPerToken = 64
)

const (
	// textWeight is the part of the average that one more prompt of the mean length replaces.
	textWeight = 1. / 32
	// mediaWeight is the part that one more prompt with media has in their average.
	mediaWeight = 1. / 8
	// longest bounds the weight of a prompt that is longer than the mean, in prompts of the mean length.
	longest = 8
)

// learn notes a prompt, and reports whether it is plausible.
func (t *texts) learn(bytes, tokens float64) bool {
	if r := bytes / tokens; r < minBytesPerToken || r > maxBytesPerToken {
		return false
	}
	if most := longest * t.tokens / t.prompts; tokens > most {
		bytes, tokens = bytes*most/tokens, most
	}
	t.bytes += bytes - t.bytes*textWeight
	t.tokens += tokens - t.tokens*textWeight
	t.prompts += 1 - t.prompts*textWeight
	return true
}

// ratio is the number of bytes that make a token.
func (t *texts) ratio() float64 { return t.bytes / t.tokens }

// towards moves an average by weight towards a new value, which is the average if there was none.
func towards(average, value, weight float64) float64 {
	if average == 0 {
		return value
	}
	return average + (value-average)*weight
}
