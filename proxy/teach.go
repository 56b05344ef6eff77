package proxy

import (
	"time"

	"tether/session"
	"tether/session/prefill"
	"tether/session/warm"
)

// teach shows the estimates, nil for none, what the answer of x says about its model: how many tokens the prompt had,
// how fast a server read it that had no other prompt to read, and whether the server had what it should have in its cache. It records what
// became of the prompt's tokens.
func teach(e *prefill.Estimates, x *exchange, now time.Time) {
	r, u := &x.rec, x.route.Last()
	if e == nil || u == nil || x.req.is(storedAPI) || !isTaught(x) {
		return
	}
	if !e.Has(r.Model) && u.IDs().Has(r.Model) {
		e.Add(string(r.Model), now)
	}
	model, media, isWhole := e.Of(r.Model), x.caller.media, isWholePrompt(&x.caller)
	text := r.BytesIn - int64(x.caller.mediaBytes)
	if x.route.FoundIdle() && x.attempt.answer.EventStream && media == 0 && !x.relay.generated.IsZero() {
		teachRate(model, r, isWhole, x.relay.generated.Sub(x.attempt.began), now)
	}
	prompt := int64(r.PromptTokens)
	if prompt <= 0 {
		return
	}
	var before warm.Before
	if r.Source.Kind != 0 { // otherwise tether drew the id, and no other turn may have it
		before = e.Note(model, warm.Turn{
			Session: r.Key.Ring(), Place: uint32(u.Ref()), Process: u.Process(), Opens: opensConversation(x),
			Prompt: prompt, Cached: int64(r.CachedTokens), Began: r.Started, Ended: x.relay.last,
		})
		r.ExpectedTokens = int(before.Expected)
	}
	r.Fates, r.Saved = fatesOf(x, &before, u), savedBy(int64(r.CachedTokens), model.MeasuredRate())
	if isWhole {
		model.LearnTokens(text, media, prompt, now)
	}
}

// isTaught reports whether the answer of x says something: it is whole, or the client left when the counts of its tokens had arrived. Some
// clients close a stream once they have the counts.
func isTaught(x *exchange) bool {
	r := &x.rec
	return r.Status < 300 && r.Reason == "" || r.ClientLeft() && r.PromptTokens > 0 && !x.relay.generated.IsZero()
}

// isWholePrompt reports whether the body is the whole prompt.
func isWholePrompt(c *caller) bool { return c.isJSON && !c.follows }

// teachRate shows the model that an idle server generated the first byte of the answer took after the request. isWhole says that the body
// is the whole prompt. If the answer does not say how many tokens the server had in its cache, only the first turn of a session teaches
// the rate: of that one the server has the beginning at most.
func teachRate(model *prefill.Model, r *Record, isWhole bool, took time.Duration, now time.Time) {
	switch prompt := int64(r.PromptTokens); {
	case prompt > 0 && r.CachedTokens >= 0:
		model.LearnRate(prompt-int64(r.CachedTokens), true, took, now)
	case r.Outcome != session.New:
	case prompt > 0:
		model.LearnRate(prompt, false, took, now)
	case isWhole:
		model.LearnRate(model.Tokens(r.BytesIn, 0), false, took, now)
	}
}
