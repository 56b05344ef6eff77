package fates

// Turn is what is known of a turn of a conversation whose answer has arrived. All numbers are tokens.
type Turn struct {
	// Prompt is the size of the prompt. Cached are the tokens of it that the server found in its cache, -1 if the answer does not say.
	Prompt, Cached int64
	// Known is true if the conversation's last turn is remembered, and this one goes on after it.
	Known bool
	// Older is true if the conversation had turns before, whether they are remembered or not.
	Older bool
	// Before is the last prompt of the conversation, and Here the last one at the same server, 0 for none.
	Before, Here int64
	// Restarted is true if another process of the server has answered since the last turn there.
	Restarted bool
	// Reason is why the conversation is at another server than before.
	Reason Reason
	// Block is the size of the blocks of the server's cache, 0 if unknown.
	Block int64
}

const (
	// unknownBlock is the largest usual block: the usual ones are 16 to 128.
	unknownBlock = 128
	// templateTokens is the end of a prompt that the next one may not repeat: chat templates open the answer there, and some close it
	// otherwise once it is a part of the history.
	templateTokens = 16
)

// slack is how many expected tokens a server does not find though it kept them: it caches whole blocks.
func (t *Turn) slack() int64 {
	if t.Block > 0 {
		return t.Block + templateTokens
	}
	return unknownBlock + templateTokens
}

// Split is what became of the tokens of one prompt. Hit, New and Lost add up to the prompt. The zero value is that of an answer without
// usage.
type Split struct {
	Hit, New, Lost int64
	// Cause is the fate of the tokens in Lost: Moved, Evicted, Restarted or Unknown. It is Hit if Lost is 0.
	Cause Fate
	// Reason says why tokens are Moved.
	Reason Reason
	// Expected are the tokens that some server should have had in its cache.
	Expected int64
}

// Of applies the rule.
//
//   - The last prompt of a conversation is expected in a cache: the next prompt begins with it. A prompt that is shorter is another history,
//     and nothing is expected of it.
//   - Expected tokens beyond the slack that were not found have one cause, that of most of them.
//   - All others that were not found are new.
func Of(t Turn) Split {
	switch {
	case t.Prompt <= 0 || t.Cached > t.Prompt:
		return Split{}
	case t.Cached < 0:
		return Split{Lost: t.Prompt, Cause: Unknown}
	case !t.Known && t.Older:
		return lost(Split{Hit: t.Cached, Lost: t.Prompt - t.Cached, Cause: Unknown})
	case !t.Known || t.Before > t.Prompt:
		return Split{Hit: t.Cached, New: t.Prompt - t.Cached}
	}
	missing := t.Before - t.Cached
	if missing <= t.slack() {
		return Split{Hit: t.Cached, New: t.Prompt - t.Cached, Expected: t.Before}
	}
	s := Split{Hit: t.Cached, New: t.Prompt - t.Before, Lost: missing, Expected: t.Before}
	s.Cause, s.Reason = t.cause()
	return s
}

// lost drops the cause of a split that lost nothing.
func lost(s Split) Split {
	if s.Lost == 0 {
		s.Cause = Hit
	}
	return s
}

// cause returns why tokens that were expected are not there: those between Here and Before were computed elsewhere, and those below Here
// went from the server's cache.
func (t *Turn) cause() (Fate, Reason) {
	here := min(t.Here, t.Before)
	switch elsewhere, gone := t.Before-max(here, t.Cached), here-t.Cached; {
	case elsewhere >= gone && elsewhere > 0:
		return Moved, t.Reason
	case t.Restarted:
		return Restarted, 0
	}
	return Evicted, 0
}

// Of returns how many tokens of the split have the fate.
func (s *Split) Of(f Fate) int64 {
	switch {
	case f == Hit:
		return s.Hit
	case f == New:
		return s.New
	case f == s.Cause:
		return s.Lost
	}
	return 0
}

// Word is the split in one word, for a log line: the cause of what is lost, or else what most of the prompt is; "" for no split.
func (s *Split) Word() string {
	switch {
	case s.Lost > 0:
		return s.Cause.String()
	case s.Hit == 0 && s.New == 0:
		return ""
	case s.Hit >= s.New:
		return Hit.String()
	}
	return New.String()
}
