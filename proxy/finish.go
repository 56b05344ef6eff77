package proxy

import (
	"encoding/json"
	"strconv"
	"time"

	"tether/http1"
	"tether/session"
	"tether/session/identity"
)

// finish ends the conversation of a request that said that it is the last one. The answer is complete, and no error.
func finish(x *exchange, now time.Time) {
	if x.req.final && session.Finish(&x.route, now) {
		x.rec.Freed++
	}
}

// finishSession answers POST /finish_session: the session whose id the head or the body has is over. Its pins are dropped under the
// model of the body, or under all known models if the body names none. Where the id stood in the session's own requests does not matter.
func finishSession(x *exchange) *fault {
	c := &x.caller
	c.identified = true
	c.readBody(&x.req)
	c.search.Identify(c.session, false, nil, x.now)
	var body struct {
		ID string `json:"session_id"`
	}
	_ = json.Unmarshal(x.req.body.bytes, &body) // another body may have the id in another place
	found := !c.session.Shared && !c.session.Synthetic() && !c.session.Subagent && len(c.session.ID()) > 0
	if found {
		free(x, c.session.ID())
	}
	if id := []byte(body.ID); identity.Valid(id) {
		found = true
		free(x, id)
	}
	if !found {
		return faultNoSession
	}
	x.answer(200, append(strconv.AppendInt([]byte(`{"freed":`), int64(x.rec.Freed), 10), '}'))
	return nil
}

// free drops the pins of a session id, as it is and hashed.
func free(x *exchange, id []byte) {
	models := []string{string(x.caller.model)}
	if models[0] == "" {
		models = append(models, x.p.router.Models()...)
	}
	for _, s := range x.p.router.Lookup(x.caller.identifier, id, models, x.now) {
		if x.p.router.Forget(s.Key, x.now) {
			x.rec.Freed++
		}
	}
}

// isTrue reports whether the value of a header field says yes.
func isTrue(value []byte) bool { return http1.EqualFold(value, "true") || string(value) == "1" }

// foldNames returns the names as FoldName writes them.
func foldNames(names []string) (folded []string) {
	for _, name := range names {
		folded = append(folded, string(http1.FoldName(make([]byte, len(name)), []byte(name))))
	}
	return folded
}
