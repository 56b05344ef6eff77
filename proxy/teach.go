package proxy

import (
	"time"

	"tether/session/prefill"
	"tether/session/warm"
)

// teach shows the estimates, nil for none, what the whole answer of x says about its model: how many tokens the prompt had,
// how fast a server read it that had no other prompt to read, and whether the server had what it should have in its cache.
func teach(e *prefill.Estimates, x *exchange, now time.Time) {
	r, u := &x.rec, x.route.Last()
	if e == nil || u == nil || r.PromptTokens <= 0 || r.Status >= 300 || r.Reason != "" || x.req.is(storedAPI) {
		return
	}
	if !e.Has(r.Model) && u.Models().Has(r.Model) {
		e.Add(string(r.Model), now)
	}
	model, search := e.Of(r.Model), &x.caller.search
	prompt := int64(r.PromptTokens)
	if r.Source.Kind != 0 { // otherwise tether drew the id, and no other turn may have it
		expected, _ := e.Note(model, warm.Turn{
			Session: r.Key.Ring(), Place: uint32(u.Ref()), Prompt: prompt, Cached: int64(r.CachedTokens), Began: r.Started, Ended: now,
		})
		r.ExpectedTokens = int(expected)
	}
	if search.IsJSON && len(search.Previous) == 0 { // otherwise the body is not the whole prompt
		model.LearnTokens(r.BytesIn-int64(search.Files.Bytes), search.Files.Count, prompt, now)
	}
	began := x.relay.generated
	if x.route.FoundIdle() && x.attempt.answer.EventStream && r.CachedTokens >= 0 && search.Files.Count == 0 && !began.IsZero() {
		model.LearnRate(prompt-int64(r.CachedTokens), began.Sub(x.attempt.began), now)
	}
}
