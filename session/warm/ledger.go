package warm

// ledger has the tokens of the last prompts of conversations, by the time of their last turn, for at least ten minutes.
type ledger struct {
	tokens [slots]int64
	newest int64 // number of the slot of the last turn
}

const (
	// slotMs is the width of a slot in milliseconds.
	slotMs = 5_000
	// slots is the number of slots, more than greatestLasting has.
	slots = 128
)

// add adds tokens to the slot of a time, both times in Unix ms. What is older than all slots, or later than now, does not count.
func (l *ledger) add(at, tokens, now int64) {
	l.advance(now / slotMs)
	if slot := at / slotMs; slot > l.newest-slots && slot <= l.newest {
		l.tokens[slot%slots] += tokens
	}
}

// advance empties the slots between the newest one and a later one.
func (l *ledger) advance(to int64) {
	if to-l.newest >= slots {
		*l = ledger{newest: to}
		return
	}
	for l.newest < to {
		l.newest++
		l.tokens[l.newest%slots] = 0
	}
}

// since returns the tokens at and after a time, both times in Unix ms.
func (l *ledger) since(from, now int64) (sum int64) {
	l.advance(now / slotMs)
	for slot := max(from/slotMs, l.newest-slots+1); slot <= l.newest; slot++ {
		sum += l.tokens[slot%slots]
	}
	return max(0, sum)
}
